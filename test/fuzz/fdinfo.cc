// Is what is told of a descriptor read as it was meant, whatever stands behind it?
#include <cerrno>

#include "input.h"

namespace locksmith::fuzz {
namespace {

void CheckRead(std::string_view text) {
  FdInfo info;
  int result = ParseFdInfo(text, &info);
  MUST(result == 0 || result == -EBADMSG);
  if (result != 0) {
    MUST(Same(info, FdInfo()));  // nothing half made
    return;
  }
  FdInfo again;
  MUST(ParseFdInfo(Print(info), &again) == 0);
  MUST(Same(info, again));
}

// Numbers of any length and of any letters: what is understood, the C library understands as well.
void CheckNumbers(FuzzedDataProvider* input) {
  std::string words[4];
  for (std::string& word : words) {
    word = input->ConsumeRandomLengthString(24);
    word.resize(std::min(word.find('\n'), word.size()));
  }
  FdInfo info;
  std::string text = "pos:\t0\nflags:\t" + words[0] + "\nmnt_id:\t" + words[1] + "\nino:\t" + words[2];
  if (ParseFdInfo(text + "\nscm_fds: " + words[3], &info) != 0) return;
  MUST(Says(words[0], static_cast<unsigned>(info.flags), 8));
  MUST(Says(words[1], info.mount_id) && Says(words[2], info.inode) && Says(words[3], info.in_flight));
}

FdInfo TakeInfo(FuzzedDataProvider* input) {
  FdInfo info;
  info.inode = input->ConsumeIntegral<uint64_t>();
  info.mount_id = input->ConsumeIntegralInRange<int>(0, INT32_MAX);
  info.flags = input->ConsumeIntegral<int>();
  for (int count = input->ConsumeIntegralInRange<int>(0, 4); count > 0; count--)
    info.locks.push_back(TakeRow(input));
  if (input->ConsumeBool()) info.in_flight = input->ConsumeIntegral<uint32_t>();
  for (int count = input->ConsumeIntegralInRange<int>(0, 4); info.in_flight == 0 && count > 0; count--)
    info.registered.push_back(input->ConsumeRandomLengthString(40));
  return info;
}

// Also into what held something else before.
void CheckPrinted(const FdInfo& info, FdInfo* used) {
  MUST(ParseFdInfo(Print(info), used) == 0);
  MUST(Same(info, *used));
}

// The part of a file that the kernel itself fills in comes first. Behind it comes what the owner of the
// descriptor may have chosen: names of files that a ring has registered, until Linux 6.12 with their
// newlines. It must not pass for a lock, for an inode or for descriptors in flight, nor keep the rest from
// being read.
void CheckForged(FdInfo info, const std::string& forged) {
  info.in_flight = 0;
  info.registered.clear();
  FdInfo read;
  MUST(ParseFdInfo(Print(info) + "SqThread:\t-1\nUserFiles:\t1\n    0: " + forged, &read) == 0);
  read.registered.clear();
  MUST(Same(info, read));
}

}  // namespace
}  // namespace locksmith::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace locksmith;
  using namespace locksmith::fuzz;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckRead(text);
  FuzzedDataProvider numbers(data, size);
  CheckNumbers(&numbers);
  FuzzedDataProvider input(data, size);
  FdInfo info = TakeInfo(&input);
  FdInfo used;
  ParseFdInfo(text, &used);
  CheckPrinted(info, &used);
  CheckForged(info, std::string(text));
  return 0;
}
