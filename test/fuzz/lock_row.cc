// Does one line of the lock table say what was read from it?
#include "input.h"

namespace locksmith::fuzz {
namespace {

std::vector<std::string> Split(const std::string& text, const char* separators) {
  std::vector<std::string> words;
  for (size_t start = 0; (start = text.find_first_not_of(separators, start)) != std::string::npos;) {
    size_t end = std::min(text.find_first_of(separators, start), text.size());
    words.push_back(text.substr(start, end - start));
    start = end;
  }
  return words;
}

bool SaysFile(const std::string& word, const FileKey& file) {
  if (word == "<none>:0") return file == FileKey();
  std::vector<std::string> parts = Split(word, ":");
  return parts.size() == 3 && Says(parts[0], file.major, 16) && Says(parts[1], file.minor, 16) &&
         Says(parts[2], file.inode);
}

void CheckWords(const std::string& line, const LockRow& row) {
  std::vector<std::string> words = Split(line, " \t");
  MUST(words.size() == (row.waits() ? 9 : 8));
  MUST(Says(words[0].substr(0, words[0].size() - 1), row.id) && words[0].back() == ':');
  if (row.waits()) MUST(words[1] == "->");
  size_t first = row.waits() ? 2 : 1;
  MUST(words[first] == row.kind && words[first + 1] == row.mode && words[first + 2] == row.access);
  MUST(Says(words[first + 3], row.pid) && SaysFile(words[first + 4], row.file));
  MUST(Says(words[first + 5], row.start));
  MUST(row.to_end ? words[first + 6] == "EOF" : Says(words[first + 6], row.end));
}

void CheckRead(std::string_view line) {
  LockRow row;
  if (!ParseLockRow(line, &row)) return;
  MUST(row.start >= 0 && (row.to_end || row.end >= row.start));
  MUST(!row.kind.empty() && !row.mode.empty() && !row.access.empty());
  CheckWords(std::string(line), row);
  LockRow again;
  MUST(ParseLockRow(Print(row), &again));
  MUST(Same(row, again));
}

void CheckPrinted(const LockRow& row) {
  LockRow read;
  MUST(ParseLockRow(Print(row), &read));
  MUST(Same(row, read));
}

}  // namespace
}  // namespace locksmith::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace locksmith::fuzz;
  CheckRead({reinterpret_cast<const char*>(data), size});
  FuzzedDataProvider input(data, size);
  CheckPrinted(TakeRow(&input));
  return 0;
}
