#include "lock_values.h"

#include <string>
#include <unordered_map>

namespace locksmith {

namespace {

Napi::Object RowObject(Napi::Env env, const LockRow& row) {
  Napi::Object object = Napi::Object::New(env);
  object["id"] = Napi::Number::New(env, static_cast<double>(row.id));
  object["depth"] = Napi::Number::New(env, row.depth);
  object["kind"] = Napi::String::New(env, row.kind);
  object["mode"] = Napi::String::New(env, row.mode);
  object["access"] = Napi::String::New(env, row.access);
  object["pid"] = Napi::Number::New(env, static_cast<double>(row.pid));
  object["major"] = Napi::Number::New(env, row.file.major);
  object["minor"] = Napi::Number::New(env, row.file.minor);
  object["inode"] = Napi::BigInt::New(env, row.file.inode);
  object["start"] = Napi::BigInt::New(env, row.start);
  object["end"] = row.to_end ? env.Undefined() : Napi::Value(Napi::BigInt::New(env, row.end));
  return object;
}

// Gives each word a number in the order of its first use.
class Words {
 public:
  double Number(const std::string& word) {
    auto [found, added] = numbers_.emplace(word, words_.size());
    if (added) words_.push_back(word);
    return static_cast<double>(found->second);
  }

  Napi::Array Value(Napi::Env env) const {
    Napi::Array array = Napi::Array::New(env, words_.size());
    for (uint32_t i = 0; i < words_.size(); i++) array[i] = Napi::String::New(env, words_[i]);
    return array;
  }

 private:
  std::unordered_map<std::string, size_t> numbers_;
  std::vector<std::string> words_;
};

template <typename Array, typename Item>
Napi::Value Column(Napi::Env env, const std::vector<Item>& items) {
  Array array = Array::New(env, items.size());
  if (array.IsEmpty()) return array;  // no memory: an exception is on its way
  for (size_t i = 0; i < items.size(); i++) array[i] = items[i];
  return array;
}

void SetRows(Napi::Object object, const LockSurvey& survey) {
  Words words;
  std::vector<double> small;
  std::vector<uint64_t> large;
  for (size_t i = 0; i < survey.rows.size(); i++) {
    const LockRow& row = survey.rows[i];
    small.insert(small.end(),
                 {static_cast<double>(row.id), static_cast<double>(row.depth), words.Number(row.kind),
                  words.Number(row.mode), words.Number(row.access), static_cast<double>(row.pid),
                  static_cast<double>(row.file.major), static_cast<double>(row.file.minor),
                  row.to_end ? 1.0 : 0.0, static_cast<double>(survey.first[i])});
    large.insert(large.end(),
                 {row.file.inode, static_cast<uint64_t>(row.start), static_cast<uint64_t>(row.end)});
  }
  object["words"] = words.Value(object.Env());
  object["rows"] = Column<Napi::Float64Array>(object.Env(), small);
  object["rowNumbers"] = Column<Napi::BigUint64Array>(object.Env(), large);
}

void SetDescriptors(Napi::Object object, const LockSurvey& survey) {
  std::vector<int32_t> small;
  std::vector<uint64_t> large;
  std::string paths;
  for (const SurveyedDescriptor& row : survey.descriptors) {
    small.insert(small.end(), {row.pid, row.thread, row.fd, row.flags, row.mount_id, row.waiting_thread});
    large.insert(large.end(), {row.inode, row.pidfd_inode});
    paths += row.path + '\0';
  }
  object["descriptors"] = Column<Napi::Int32Array>(object.Env(), small);
  object["descriptorNumbers"] = Column<Napi::BigUint64Array>(object.Env(), large);
  object["paths"] = Napi::Buffer<char>::Copy(object.Env(), paths.data(), paths.size());
}

// One object an item, each in a scope of its own: there may be many.
template <typename Item, typename Make>
Napi::Array ArrayOf(Napi::Env env, const std::vector<Item>& items, Make make) {
  Napi::Array array = Napi::Array::New(env, items.size());
  for (uint32_t index = 0; index < items.size(); index++) {
    Napi::HandleScope scope(env);
    array[index] = make(env, items[index]);
  }
  return array;
}

// Paths need not be UTF-8.
Napi::Value BytesOf(Napi::Env env, const std::string& text) {
  return Napi::Buffer<char>::Copy(env, text.data(), text.size());
}

Napi::Object PlaceObject(Napi::Env env, const Place& place) {
  constexpr const char* kKinds[] = {"socket", "io_uring", "mapping"};
  Napi::Object object = Napi::Object::New(env);
  object["kind"] = Napi::String::New(env, kKinds[static_cast<int>(place.kind)]);
  object["pid"] = Napi::Number::New(env, place.pid);
  object["thread"] = Napi::Number::New(env, place.thread);
  object["fd"] = Napi::Number::New(env, place.fd);
  object["count"] = Napi::Number::New(env, static_cast<double>(place.count));
  object["paths"] = ArrayOf(env, place.paths, BytesOf);
  object["major"] = Napi::Number::New(env, place.file.major);
  object["minor"] = Napi::Number::New(env, place.file.minor);
  object["inode"] = Napi::BigInt::New(env, place.file.inode);
  return object;
}

}  // namespace

Napi::Array LockRowArray(Napi::Env env, const std::vector<LockRow>& rows) {
  return ArrayOf(env, rows, RowObject);
}

Napi::Object FdInfoObject(Napi::Env env, const FdInfo& info) {
  Napi::Object object = Napi::Object::New(env);
  object["inode"] = Napi::BigInt::New(env, info.inode);
  object["mountId"] = Napi::Number::New(env, info.mount_id);
  object["flags"] = Napi::Number::New(env, info.flags);
  object["locks"] = LockRowArray(env, info.locks);
  object["inFlight"] = Napi::Number::New(env, static_cast<double>(info.in_flight));
  object["registered"] = ArrayOf(env, info.registered, BytesOf);
  return object;
}

Napi::Object SurveyValue(Napi::Env env, const LockSurvey& survey) {
  Napi::Object object = Napi::Object::New(env);
  SetRows(object, survey);
  SetDescriptors(object, survey);
  std::vector<uint32_t> shown;
  for (const ShownLock& lock : survey.shown)
    shown.insert(shown.end(), {lock.row, lock.descriptor, lock.description});
  object["shown"] = Column<Napi::Uint32Array>(env, shown);
  object["places"] = ArrayOf(env, survey.places, PlaceObject);
  object["unreadable"] = Column<Napi::Int32Array>(env, survey.unreadable);
  object["everywhere"] = Napi::Boolean::New(env, survey.everywhere);
  return object;
}

}  // namespace locksmith
