#include "fdinfo.h"

#include <cerrno>
#include <charconv>
#include <utility>

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
bool ParseNumber(std::string_view text, T* value, int base = 10) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value, base);
  return error == std::errc() && end == text.data() + text.size();
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

enum class Read { kYes, kRefused, kOther };

Read YesIf(bool understood) { return understood ? Read::kYes : Read::kRefused; }

// The kernel itself writes the front: position, flags, mount, inode, then the locks (seq_show() of
// fs/proc/fd.c). What follows depends on the kind of file and may hold what its owner chose: the names of
// files that a ring has registered stand there with their newlines (Linux 6.12). Nothing there can be a lock.
class Parser {
 public:
  explicit Parser(FdInfo* info) : info_(info) {}

  bool Line(std::string_view line) {
    if (in_front_) {
      Read read = Front(line);
      if (read != Read::kOther) return read == Read::kYes;
    }
    return Behind(line, std::exchange(in_front_, false));
  }

 private:
  Read Front(std::string_view line) {
    if (TakeKey(&line, "pos:")) return Read::kYes;
    if (TakeKey(&line, "flags:")) return YesIf(Flags(line));
    if (TakeKey(&line, "mnt_id:")) return YesIf(ParseNumber(line, &info_->mount_id));
    if (TakeKey(&line, "ino:")) return YesIf(ParseNumber(line, &info_->inode));
    if (TakeKey(&line, "lock:")) return YesIf(Lock(line));
    return Read::kOther;
  }

  bool Flags(std::string_view line) {
    unsigned flags = 0;
    bool understood = ParseNumber(line, &flags, 8);
    info_->flags = static_cast<int>(flags);
    return understood;
  }

  bool Lock(std::string_view line) {
    LockRow lock;
    if (!ParseLockRow(line, &lock)) return false;
    info_->locks.push_back(std::move(lock));
    return true;
  }

  bool Behind(std::string_view line, bool first) {
    // A Unix socket has no other line (unix_show_fdinfo()).
    if (first && TakeKey(&line, "scm_fds:")) return ParseNumber(line, &info_->in_flight);
    bool indented = !line.empty() && line[0] == ' ';
    if (indented && in_files_) ParseRegistered(line, info_);
    if (!indented) in_files_ = line.substr(0, 10) == "UserFiles:";
    return true;
  }

  FdInfo* info_;
  bool in_front_ = true;
  bool in_files_ = false;
};

}  // namespace

int ParseFdInfo(std::string_view text, FdInfo* info) {
  FdInfo fresh;
  Parser parser(&fresh);
  while (!text.empty()) {
    size_t newline = std::min(text.find('\n'), text.size());
    if (!parser.Line(text.substr(0, newline))) return -EBADMSG;
    text.remove_prefix(std::min(newline + 1, text.size()));
  }
  *info = std::move(fresh);
  return 0;
}

}  // namespace locksmith
