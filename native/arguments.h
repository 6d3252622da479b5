// Are the arguments of a call what they should be? Reads them in order; the first that is not makes a
// TypeError.
#pragma once

#include <napi.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "file_lock.h"
#include "page.h"

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

// The same without the wrappers, for calls that must not cost more than the system call that they make: whole
// numbers and one path at most. The first that is not what it should be makes a TypeError.
template <size_t kCount>
class QuickArguments {
 public:
  QuickArguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kCount;
    napi_get_cb_info(env, info, &count, values_.data(), nullptr, nullptr);
  }

  int64_t Integer(size_t index, const char* name) {
    double number = 0;
    bool read = napi_get_value_double(env_, values_[index], &number) == napi_ok;
    if (read && std::trunc(number) == number && std::abs(number) <= 9007199254740991.0)
      return static_cast<int64_t>(number);
    return Fail(name, "a safe integer");
  }

  int Int(size_t index, const char* name) {
    int64_t value = Integer(index, name);
    bool fits = value >= std::numeric_limits<int>::min() && value <= std::numeric_limits<int>::max();
    return static_cast<int>(fits ? value : Fail(name, "a 32-bit integer"));
  }

  // One of 0, 1, ... last.
  int Choice(size_t index, const char* name, int last) {
    int value = Int(index, name);
    return value >= 0 && value <= last ? value
                                       : static_cast<int>(Fail(name, "one of the values listed for it"));
  }

  // Of a whole file; kind and type are one number, 3 * kind + type.
  LockRequest Request(int fd, size_t what_index) {
    int what = Choice(what_index, "what", 8);
    return {fd, static_cast<LockKind>(what / 3), static_cast<LockType>(what % 3), 0, 0};
  }

  // A string or a Buffer. Valid as long as this object. One that does not fit is cut off, and still longer
  // than the kernel takes: ENAMETOOLONG.
  const char* Path(size_t index) {
    size_t length = 0;
    if (napi_get_value_string_utf8(env_, values_[index], path_.data(), path_.size(), &length) != napi_ok)
      length = Bytes(index);
    if (!failed_ && std::strlen(path_.data()) != length) Fail("path", "without a NUL byte");
    return path_.data();
  }

  // Writes a text into a page; its length. One that does not fit is cut off, and still longer than a page.
  size_t Text(size_t index, const char* name, Page* page) {
    size_t length = 0;
    if (napi_get_value_string_utf8(env_, values_[index], page->data(), page->size(), &length) != napi_ok)
      Fail(name, "a string");
    return length;
  }

  bool failed() const { return failed_; }

  napi_value Undefined() const {
    napi_value result = nullptr;
    napi_get_undefined(env_, &result);
    return result;
  }

  napi_value Number(int value) const {
    napi_value result = nullptr;
    napi_create_int32(env_, value, &result);
    return result;
  }

  napi_value Number(int64_t value) const {
    napi_value result = nullptr;
    napi_create_int64(env_, value, &result);
    return result;
  }

 private:
  // Copies a Buffer to where the path is kept, as a string: its length.
  size_t Bytes(size_t index) {
    bool is_buffer = false;
    void* data = nullptr;
    size_t length = 0;
    napi_is_buffer(env_, values_[index], &is_buffer);
    if (!is_buffer || napi_get_buffer_info(env_, values_[index], &data, &length) != napi_ok)
      return static_cast<size_t>(Fail("path", "a string or a Buffer"));
    length = std::min(length, path_.size() - 1);
    if (length > 0) std::memcpy(path_.data(), data, length);
    path_[length] = '\0';
    return length;
  }

  // In UTF-8. Node-API cuts off before one that does not fit whole.
  static constexpr size_t kLongestCharacter = 4;

  int64_t Fail(const char* name, const char* what) {
    if (!failed_) napi_throw_type_error(env_, nullptr, (std::string(name) + " must be " + what).c_str());
    failed_ = true;
    return 0;
  }

  napi_env env_;
  std::array<napi_value, kCount> values_;
  std::array<char, PATH_MAX + kLongestCharacter + 1> path_;
  bool failed_ = false;
};

}  // namespace locksmith
