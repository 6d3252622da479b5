// How is a record of one page read and written, so that it is never torn?
#pragma once

#include <string>

namespace locksmith {

constexpr size_t kPageSize = 4096;

// The text of a file of at most a page, without the spaces and newlines at its end; of a longer one a byte
// too much.
int ReadPage(const char* path, std::string* text);

// Writes a text, padded with spaces and a newline to a whole page, by one write(2): 0 or -errno. -EMSGSIZE
// when it does not fit, -ENOSPC when it came out short, -ESTALE when the file has no name any more: then
// nobody reads what was written.
int WritePage(int fd, const std::string& text);

}  // namespace locksmith
