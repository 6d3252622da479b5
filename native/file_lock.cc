#include "file_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include "fd.h"

namespace locksmith {

namespace {

short RecordType(LockType type) {
  switch (type) {
    case LockType::kShared:
      return F_RDLCK;
    case LockType::kExclusive:
      return F_WRLCK;
    default:
      return F_UNLCK;
  }
}

int FlockOperation(LockType type) {
  switch (type) {
    case LockType::kShared:
      return LOCK_SH;
    case LockType::kExclusive:
      return LOCK_EX;
    default:
      return LOCK_UN;
  }
}

// l_pid must be 0 for the OFD commands (fcntl(2)).
struct flock RecordOf(const LockRequest& request) {
  struct flock record = {};
  record.l_type = RecordType(request.type);
  record.l_whence = SEEK_SET;
  record.l_start = request.start;
  record.l_len = request.length;
  return record;
}

int SetRecord(const LockRequest& request, int ofd_command, int posix_command) {
  struct flock record = RecordOf(request);
  int command = request.kind == LockKind::kOfd ? ofd_command : posix_command;
  return OrErrno(fcntl(request.fd, command, &record));
}

}  // namespace

int SetLock(const LockRequest& request) {
  if (request.kind == LockKind::kFlock)
    return OrErrno(flock(request.fd, FlockOperation(request.type) | LOCK_NB));
  return SetRecord(request, F_OFD_SETLK, F_SETLK);
}

int SetLockBlocking(const LockRequest& request) {
  if (request.kind == LockKind::kFlock) return OrErrno(flock(request.fd, FlockOperation(request.type)));
  return SetRecord(request, F_OFD_SETLKW, F_SETLKW);
}

int GetLock(const LockRequest& request, LockConflict* conflict) {
  if (request.kind == LockKind::kFlock) return -EOPNOTSUPP;
  struct flock record = RecordOf(request);
  int command = request.kind == LockKind::kOfd ? F_OFD_GETLK : F_GETLK;
  int result = OrErrno(fcntl(request.fd, command, &record));
  if (result < 0) return result;
  // The type decides, not the pid: the holder may have gone between EAGAIN and this call.
  conflict->found = record.l_type != F_UNLCK;
  conflict->type = record.l_type == F_RDLCK ? LockType::kShared : LockType::kExclusive;
  conflict->pid = record.l_pid;
  conflict->start = record.l_start;
  conflict->length = record.l_len;
  return 0;
}

}  // namespace locksmith
