// How is a record of one page read and written, so that it is never torn?
#pragma once

#include <sys/types.h>

#include <array>

namespace locksmith {

constexpr size_t kPageSize = 4096;

// Room for a page, and for as much more as tells that a text is longer: one character, of up to four bytes,
// and a NUL.
using Page = std::array<char, kPageSize + 5>;

// Reads the text of a file, without the spaces and newlines at its end; its length, or -errno. Of a file that
// is longer than a page the text is so, too.
ssize_t ReadPage(const char* path, Page* page);
// The same of a file that is open.
ssize_t ReadOpenPage(int fd, Page* page);

// Writes a text of that length, padded with spaces and a newline to a whole page, by one write(2): 0 or
// -errno. -EMSGSIZE when it does not fit, -ENOSPC when it came out short, -ESTALE when the file has no name
// any more: then nobody reads what was written.
int WritePage(int fd, Page* page, size_t length);

}  // namespace locksmith
