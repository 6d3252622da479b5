// How do rows of the lock table and a survey look in JavaScript?
#pragma once

#include <napi.h>

#include <vector>

#include "fdinfo.h"
#include "lock_survey.h"

namespace locksmith {

// An array of objects, one a row: for tables of any size that are looked at once.
Napi::Array LockRowArray(Napi::Env env, const std::vector<LockRow>& rows);

// What fdinfo tells of one descriptor.
Napi::Object FdInfoObject(Napi::Env env, const FdInfo& info);

// A survey as columns of numbers, because making objects here costs more than the survey itself.
// lib/os/native.ts says what stands where.
Napi::Object SurveyValue(Napi::Env env, const LockSurvey& survey);

}  // namespace locksmith
