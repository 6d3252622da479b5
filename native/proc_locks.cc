#include "proc_locks.h"

#include <fcntl.h>

#include <charconv>

#include "fd.h"

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

 private:
  void SkipSpace() {
    size_t first = rest_.find_first_not_of(" \t");
    rest_.remove_prefix(first == std::string_view::npos ? rest_.size() : first);
  }

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
bool ParseFile(std::string_view word, LockRow* row) {
  if (word == "<none>:0") return true;
  size_t first = word.find(':');
  size_t second = word.find(':', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) return false;
  return ParseNumber(word.substr(0, first), &row->major, 16) &&
         ParseNumber(word.substr(first + 1, second - first - 1), &row->minor, 16) &&
         ParseNumber(word.substr(second + 1), &row->inode);
}

bool ParseEnd(std::string_view word, LockRow* row) {
  row->to_end = word == "EOF";
  return row->to_end || (ParseNumber(word, &row->end) && row->end >= row->start);
}

}  // namespace

bool ParseLockRow(std::string_view line, LockRow* row) {
  Scanner scanner(line);
  if (!ParseId(scanner.Word(), &row->id)) return false;
  std::string_view word = scanner.Word();
  row->waiting = word == "->";
  row->kind = row->waiting ? scanner.Word() : word;
  row->mode = scanner.Word();
  row->access = scanner.Word();
  return !row->access.empty() && ParseNumber(scanner.Word(), &row->pid) && ParseFile(scanner.Word(), row) &&
         ParseNumber(scanner.Word(), &row->start) && row->start >= 0 && ParseEnd(scanner.Word(), row) &&
         scanner.AtEnd();
}

int ParseLockTable(std::string_view text, std::vector<LockRow>* rows) {
  while (!text.empty()) {
    size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    LockRow row;
    if (!ParseLockRow(line, &row)) return -EBADMSG;
    rows->push_back(std::move(row));
  }
  return 0;
}

int ReadProcFile(const char* path, std::string* text) {
  Fd fd(OrErrno(open(path, O_RDONLY | O_CLOEXEC)));
  if (!fd.ok()) return fd.get();
  size_t filled = 0;
  text->resize(4096);
  for (;;) {
    ssize_t count = read(fd.get(), text->data() + filled, text->size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -errno;
    filled += static_cast<size_t>(count);
    if (count == 0) break;
    if (filled == text->size()) text->resize(text->size() * 2);
  }
  text->resize(filled);
  return 0;
}

}  // namespace locksmith
