// Who ends a hold when its holder is stopped or dead? A forked process that shares the gate. It does itself
// what the holder orders to be stopped, so that nothing is ever stopped that it would not let go on again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fd.h"

namespace locksmith {

// A text that is written to a file, or a program that is executed where there is one.
struct Action {
  std::string path;
  std::string text;
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  // It is killed, with its process group, when this time is over.
  int64_t milliseconds = 0;
};

struct Stoppable {
  Action stop;
  Action restore;
};

struct HoldPlan {
  int gate = -1;
  // A lock that is given back when all restores have ended; -1 for none.
  int turn = -1;
  int64_t milliseconds = 0;
  // Absolute paths, removed before the gate is opened for a holder who did not let go himself.
  std::vector<std::string> fences;
  std::vector<Stoppable> stoppables;
};

struct HoldSupervisor {
  int pid = 0;
  Fd pidfd;
  // Our end of a pair of packet sockets. Closing it is our death.
  Fd channel;
};

// What the holder orders: stop one, take one on that is stopped already, or restore all in reverse order,
// open the gate and end.
enum class OrderKind : int32_t { kStop = 0, kAdopt = 1, kRelease = 2 };

// What the supervisor tells: it is in place; something was stopped; something was restored; the time is over.
enum class NewsKind : int32_t { kReady = 0, kStopped = 1, kRestored = 2, kOver = 3 };

struct Order {
  OrderKind kind;
  int32_t index;
};

struct News {
  NewsKind kind;
  int32_t index;
  // -errno, or 0 for a text that was written, or how the program ended, as wait(2) encodes it. -ETIMEDOUT: it
  // was killed when its time was over.
  int32_t status;
};

// Starts the process. 0 or -errno.
int StartHoldSupervisor(const HoldPlan& plan, HoldSupervisor* supervisor);

// Orders something: 0 or -errno (-EPIPE when it has ended).
int SendOrder(int channel, Order order);

// The next news: 1, 0 when it has ended, or -errno (-EAGAIN when there is nothing new).
int ReceiveNews(int channel, News* news);

// Collects the process once its pidfd is readable: 0, or -errno (-EAGAIN while it runs).
int ReapHoldSupervisor(int pidfd);

}  // namespace locksmith
