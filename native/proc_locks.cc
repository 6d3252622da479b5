#include "proc_locks.h"

#include <fcntl.h>

#include <cerrno>
#include <charconv>

namespace locksmith {

namespace {

// Takes words and numbers off the front of a line.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  std::string_view Word() {
    SkipSpace();
    size_t length = rest_.find_first_of(" \t");
    std::string_view word = rest_.substr(0, length);
    rest_.remove_prefix(word.size());
    return word;
  }

  bool AtEnd() {
    SkipSpace();
    return rest_.empty();
  }

  // How many blanks stood there.
  size_t SkipSpace() {
    size_t count = std::min(rest_.find_first_not_of(" \t"), rest_.size());
    rest_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view rest_;
};

template <typename T>
bool ParseNumber(std::string_view word, T* value, int base = 10) {
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *value, base);
  return error == std::errc() && end == word.data() + word.size();
}

// `12:` is an id; the colon belongs to it.
bool ParseId(std::string_view word, int64_t* id) {
  if (word.empty() || word.back() != ':') return false;
  word.remove_suffix(1);
  return ParseNumber(word, id);
}

// `fe:00:2146335`: device numbers in hex, inode in decimal. `<none>:0` for a lock without a file.
bool ParseFile(std::string_view word, FileKey* file) {
  if (word == "<none>:0") return true;
  size_t first = word.find(':');
  size_t second = word.find(':', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) return false;
  return ParseNumber(word.substr(0, first), &file->major, 16) &&
         ParseNumber(word.substr(first + 1, second - first - 1), &file->minor, 16) &&
         ParseNumber(word.substr(second + 1), &file->inode);
}

// FLOCK, ADVISORY, READ, *NOINODE*: the kernel uses no other letters, and people read them on terminals.
bool ParseName(std::string_view word, std::string* name) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ*";
  *name = word;
  return !word.empty() && word.find_first_not_of(kLetters) == std::string_view::npos;
}

bool ParseEnd(std::string_view word, LockRow* row) {
  row->to_end = word == "EOF";
  return row->to_end || (ParseNumber(word, &row->end) && row->end >= row->start);
}

}  // namespace

bool ParseLockRow(std::string_view line, LockRow* row) {
  Scanner scanner(line);
  if (!ParseId(scanner.Word(), &row->id)) return false;
  size_t indent = scanner.SkipSpace();
  std::string_view word = scanner.Word();
  // One blank more for each waiter in between (lock_get_status(); Linux 5.10 shows the first ones only).
  row->depth = word == "->" ? static_cast<int>(std::max<size_t>(indent, 1)) : 0;
  return ParseName(row->waits() ? scanner.Word() : word, &row->kind) &&
         ParseName(scanner.Word(), &row->mode) && ParseName(scanner.Word(), &row->access) &&
         ParseNumber(scanner.Word(), &row->pid) && ParseFile(scanner.Word(), &row->file) &&
         ParseNumber(scanner.Word(), &row->start) && row->start >= 0 && ParseEnd(scanner.Word(), row) &&
         scanner.AtEnd();
}

bool LockRow::Same(const LockRow& other) const {
  return depth == other.depth && kind == other.kind && access == other.access && pid == other.pid &&
         file == other.file && start == other.start && end == other.end && to_end == other.to_end;
}

namespace {

TakeText TakeRow(std::function<void(LockRow&&)> take) {
  return [take = std::move(take)](std::string_view line) {
    LockRow row;
    if (!ParseLockRow(line, &row)) return -EBADMSG;
    take(std::move(row));
    return 0;
  };
}

}  // namespace

LockTableParser::LockTableParser(std::function<void(LockRow&&)> take) : lines_(TakeRow(std::move(take))) {}

int ReadLockTable(const char* path, const std::function<void(LockRow&&)>& take) {
  return ReadLines(AT_FDCWD, path, TakeRow(take));
}

}  // namespace locksmith
