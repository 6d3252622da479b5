// Are the arguments of a call what they should be? Reads them in order; the first that is not makes a
// TypeError.
#pragma once

#include <napi.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace locksmith {

class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  // Any whole number that JavaScript can hold exactly.
  int64_t Integer(const char* name) {
    Napi::Value value = Next();
    double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
    bool safe = std::trunc(number) == number && std::abs(number) <= 9007199254740991.0;
    return safe ? static_cast<int64_t>(number) : Fail(name, "a safe integer");
  }

  int Int(const char* name) {
    int64_t value = Integer(name);
    bool fits = value >= std::numeric_limits<int>::min() && value <= std::numeric_limits<int>::max();
    return static_cast<int>(fits ? value : Fail(name, "a 32-bit integer"));
  }

  // One of 0, 1, ... last.
  int Choice(const char* name, int last) {
    int value = Int(name);
    return value >= 0 && value <= last ? value
                                       : static_cast<int>(Fail(name, "one of the values listed for it"));
  }

  // A text or bytes, without a NUL.
  std::string Text(const char* name) { return ToText(name, Next()); }

  // An array of such.
  std::vector<std::string> Texts(const char* name) {
    Napi::Value value = Next();
    if (!value.IsArray()) {
      Fail(name, "an array");
      return {};
    }
    auto array = value.As<Napi::Array>();
    std::vector<std::string> texts(array.Length());
    for (uint32_t i = 0; i < array.Length(); i++) texts[i] = ToText(name, array.Get(i));
    return texts;
  }

  Napi::Buffer<char> Bytes(const char* name) {
    Napi::Value value = Next();
    if (value.IsBuffer()) return value.As<Napi::Buffer<char>>();
    Fail(name, "a Buffer");
    return Napi::Buffer<char>::New(info_.Env(), 0);
  }

  Napi::Function Callback(const char* name) {
    Napi::Value value = Next();
    if (value.IsFunction()) return value.As<Napi::Function>();
    Fail(name, "a function");
    return {};
  }

  std::vector<int32_t> Int32s(const char* name) {
    return Numbers<int32_t>(name, napi_int32_array, "an Int32Array");
  }

  std::vector<uint64_t> BigUint64s(const char* name) {
    return Numbers<uint64_t>(name, napi_biguint64_array, "a BigUint64Array");
  }

  int64_t Fail(const char* name, const char* what) {
    if (!failed_)
      Napi::TypeError::New(info_.Env(), std::string(name) + " must be " + what).ThrowAsJavaScriptException();
    failed_ = true;
    return 0;
  }

  // True when a TypeError is on its way: the call must then do nothing.
  bool failed() const { return failed_; }

 private:
  std::string ToText(const char* name, Napi::Value value) {
    std::string text;
    if (value.IsString()) {
      text = value.As<Napi::String>().Utf8Value();
    } else if (value.IsBuffer()) {
      auto buffer = value.As<Napi::Buffer<char>>();
      text.assign(buffer.Data(), buffer.Length());
    } else {
      Fail(name, "a string or a Buffer");
    }
    if (text.find('\0') != std::string::npos) Fail(name, "without a NUL byte");
    return text;
  }

  template <typename Item>
  std::vector<Item> Numbers(const char* name, napi_typedarray_type type, const char* what) {
    Napi::Value value = Next();
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
      Fail(name, what);
      return {};
    }
    auto array = value.As<Napi::TypedArrayOf<Item>>();
    return {array.Data(), array.Data() + array.ElementLength()};
  }

  Napi::Value Next() { return info_[next_++]; }

  const Napi::CallbackInfo& info_;
  size_t next_ = 0;
  bool failed_ = false;
};

}  // namespace locksmith
