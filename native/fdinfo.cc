#include "fdinfo.h"

#include <cerrno>
#include <charconv>

namespace locksmith {

namespace {

// Takes `key` off the front of a line, and the space behind it.
bool TakeKey(std::string_view* line, std::string_view key) {
  if (line->substr(0, key.size()) != key) return false;
  line->remove_prefix(key.size());
  line->remove_prefix(std::min(line->find_first_not_of(" \t"), line->size()));
  return true;
}

template <typename T>
void ParseField(std::string_view line, std::string_view key, T* value, int base = 10) {
  if (TakeKey(&line, key)) std::from_chars(line.data(), line.data() + line.size(), *value, base);
}

bool IsOctal(std::string_view digits) {
  return digits.size() == 3 && digits.find_first_not_of("01234567") == std::string_view::npos &&
         digits[0] < '4';
}

// `a\040b`: the kernel prints what would break a line or a word as three octal digits (mangle_path()).
std::string Unescape(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    bool escaped = text[0] == '\\' && IsOctal(text.substr(1, 3));
    if (escaped) {
      plain.push_back(static_cast<char>((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0')));
    } else {
      plain.push_back(text[0]);
    }
    text.remove_prefix(escaped ? 4 : 1);
  }
  return plain;
}

// `    0: /path` in the section that `UserFiles:` opens and the next word in the first column ends.
void ParseRegistered(std::string_view line, FdInfo* info) {
  size_t colon = line.find(": ");
  if (colon == std::string_view::npos) return;
  std::string_view path = line.substr(colon + 2);
  if (path != "<none>") info->registered.push_back(Unescape(path));
}

class Parser {
 public:
  explicit Parser(FdInfo* info) : info_(info) {}

  bool Line(std::string_view line) {
    bool indented = !line.empty() && line[0] == ' ';
    if (indented && in_files_) ParseRegistered(line, info_);
    if (indented) return true;
    in_files_ = line.substr(0, 10) == "UserFiles:";
    ParseField(line, "ino:", &info_->inode);
    ParseField(line, "mnt_id:", &info_->mount_id);
    ParseField(line, "flags:", &info_->flags, 8);
    ParseField(line, "scm_fds:", &info_->in_flight);
    return !TakeKey(&line, "lock:") || Lock(line);
  }

 private:
  bool Lock(std::string_view line) {
    LockRow lock;
    if (!ParseLockRow(line, &lock)) return false;
    info_->locks.push_back(std::move(lock));
    return true;
  }

  FdInfo* info_;
  bool in_files_ = false;
};

}  // namespace

int ParseFdInfo(std::string_view text, FdInfo* info) {
  Parser parser(info);
  while (!text.empty()) {
    size_t newline = std::min(text.find('\n'), text.size());
    if (!parser.Line(text.substr(0, newline))) return -EBADMSG;
    text.remove_prefix(std::min(newline + 1, text.size()));
  }
  return 0;
}

}  // namespace locksmith
