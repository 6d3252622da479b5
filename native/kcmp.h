// Do two tasks share something? (kcmp(2))
#pragma once

namespace locksmith {

// Compares the open file descriptions behind two descriptors: 0 the same, 1 and 2 an order among different
// ones, 3 different without an order. -EPERM without the right to look, -ENOSYS or -EOPNOTSUPP without
// CONFIG_KCMP.
int CompareDescriptions(int task1, int fd1, int task2, int fd2);

// The same for the whole tables of descriptors of two tasks.
int CompareDescriptorTables(int task1, int task2);

}  // namespace locksmith
