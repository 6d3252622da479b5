// Does a table say the same in pieces as in one, and as its lines say one by one?
#include "input.h"

namespace locksmith::fuzz {
namespace {

bool Same(const Table& a, const Table& b) { return a.result == b.result && fuzz::Same(a.rows, b.rows); }

// `next` gives the size of the next piece. A copy of each piece is fed: reading beyond it is a finding.
template <typename Next>
Table ReadPieces(std::string_view text, Next next) {
  Table table;
  LockTableParser parser([&](LockRow&& row) { table.rows.push_back(std::move(row)); });
  while (!text.empty() && table.result == 0) {
    std::vector<char> piece(text.begin(),
                            text.begin() + static_cast<ptrdiff_t>(std::min(next(), text.size())));
    table.result = parser.Feed({piece.data(), piece.size()});
    text.remove_prefix(piece.size());
  }
  if (table.result == 0) table.result = parser.End();
  return table;
}

}  // namespace
}  // namespace locksmith::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace locksmith::fuzz;
  FuzzedDataProvider input(data, size);
  size_t largest = input.ConsumeIntegralInRange<size_t>(1, 300);
  uint32_t random = input.ConsumeIntegral<uint8_t>();
  std::string text = input.ConsumeRemainingBytesAsString();

  Table whole = ReadSimply(text);
  MUST(whole.result == 0 || whole.result == -EBADMSG);
  MUST(Same(whole, ReadPieces(text, [&] { return text.size(); })));
  MUST(Same(whole, ReadPieces(text, [&] {
              random = random * 1664525 + 1013904223;
              return (random >> 8) % (largest + 1);  // a piece may be empty
            })));
  return 0;
}
