// Which extended attribute does an open file carry? (xattr(7))
#pragma once

#include <string>

namespace locksmith {

int SetXattr(int fd, const char* name, const void* value, size_t size);
int GetXattr(int fd, const char* name, std::string* value);

}  // namespace locksmith
