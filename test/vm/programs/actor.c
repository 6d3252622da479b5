// A process that does what it is told: one command a line on stdin, one answer a line on stdout.
//
// Where a command makes a child, the child goes on with the conversation on the same pipes. When it has
// ended, its parent says "back" and goes on.
#define _GNU_SOURCE
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "lock.h"

#define MAX_WORDS 8
#define PATIENCE_MS 10000

struct command {
  int count;
  char *words[MAX_WORDS];
};

static void converse(void);

static void answer(const char *format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  line[length++] = '\n';
  must(write(STDOUT_FILENO, line, (size_t)length) == length);
}

// Reads byte by byte: what follows a line may be meant for a child.
static void listen_for(char *line, size_t size) {
  size_t length = 0;
  while (length < size - 1) {
    if (read(STDIN_FILENO, line + length, 1) != 1) _exit(EXIT_SUCCESS);
    if (line[length] == '\n') break;
    length++;
  }
  line[length] = '\0';
}

// ---- files

static int write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int result = put(fd, text);
  close(fd);
  return result;
}

static void do_write(struct command *command) {
  answer("%d", write_file(command->words[1], command->words[2]));
}

static void *write_as_thread(void *command) {
  do_write(command);
  return NULL;
}

// A thread that is not the leader writes, and ends.
static void do_write_in_thread(struct command *command) {
  pthread_t thread;
  must(pthread_create(&thread, NULL, write_as_thread, command) == 0);
  must(pthread_join(thread, NULL) == 0);
}

static void do_read(struct command *command) {
  char text[128];
  int fd = open(command->words[1], O_RDONLY | O_CLOEXEC);
  int error = fd < 0 ? errno : get(fd, text, sizeof text);
  if (fd >= 0) close(fd);
  if (error)
    answer("!%d", error);
  else
    answer("%s", text);
}

// ---- polls

static int watched = -1;

// Opens a file and reads it: from now on a change of it is an event.
static void do_watch(struct command *command) {
  char text[128];
  if (watched >= 0) close(watched);
  watched = open(command->words[1], O_RDONLY | O_CLOEXEC);
  must(watched >= 0 && get(watched, text, sizeof text) == 0);
  answer("%s", text);
}

static int poll_watched(int milliseconds, char *text, size_t size) {
  struct pollfd entry = {.fd = watched, .events = POLLPRI};
  double end = now_us() + milliseconds * 1e3;
  int count = poll(&entry, 1, milliseconds);
  must(count >= 0);
  // When its time is up poll(2) looks once more: what it sees then has woken nobody.
  if (count == 0 || now_us() >= end) return ETIMEDOUT;
  must(entry.revents & POLLPRI);
  return get(watched, text, size);
}

// What the file says when poll(2) has returned.
static void do_woken(struct command *command) {
  char text[128];
  int error = poll_watched(command->count > 1 ? atoi(command->words[1]) : PATIENCE_MS, text, sizeof text);
  if (error)
    answer("!%d", error);
  else
    answer("%s", text);
}

static atomic_int poller_tid;

static void *poll_as_thread(void *command) {
  poller_tid = (int)syscall(SYS_gettid);
  do_woken(command);
  return NULL;
}

// One letter: S is asleep, Z a zombie. Of a thread of this process; 0: there is none.
static char state_of(pid_t tid) {
  char path[64], stat[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t count = read(fd, stat, sizeof stat - 1);
  close(fd);
  must(count > 0);
  stat[count] = '\0';
  return strrchr(stat, ')')[2];
}

static void wait_for_state(pid_t tid, char state) {
  for (char now; (now = state_of(tid)) != state && now != 0;) sched_yield();
}

// As woken, but says "asleep" before, when the kernel has put the poller to sleep.
static void do_sleep_until_woken(struct command *command) {
  pthread_t thread;
  poller_tid = 0;
  must(pthread_create(&thread, NULL, poll_as_thread, command) == 0);
  while (poller_tid == 0) sched_yield();
  wait_for_state(poller_tid, 'S');
  answer("asleep");
  must(pthread_join(thread, NULL) == 0);
}

// ---- processes

static pid_t child_with_pid(pid_t pid) {
  struct clone_args arguments = {
      .exit_signal = SIGCHLD, .set_tid = pid ? (uintptr_t)&pid : 0, .set_tid_size = pid ? 1 : 0};
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

static void let_child_speak(pid_t pid) {
  pid_t child = child_with_pid(pid);
  if (child < 0) return answer("!%d", errno);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // glibc has not seen this fork.
    answer("%d", (int)syscall(SYS_getpid));
    return;
  }
  must(waitpid(child, NULL, 0) == child);
  answer("back");
}

static void do_fork(struct command *command) {
  let_child_speak(command->count > 1 ? atoi(command->words[1]) : 0);
}

// A child that is the init of a new pid namespace.
static void do_namespace(struct command *command) {
  (void)command;
  if (unshare(CLONE_NEWPID) != 0) return answer("!%d", errno);
  let_child_speak(0);
}

static pid_t zombie;

// A child that writes and ends, and is not waited for: answers its pid and what came of its write.
static void do_leave_zombie(struct command *command) {
  siginfo_t end;
  zombie = fork_child();
  if (zombie == 0) _exit(write_file(command->words[1], command->words[2]));
  must(waitid(P_PID, (id_t)zombie, &end, WEXITED | WNOWAIT) == 0);
  answer("%d %d", zombie, end.si_status);
}

static void do_reap(struct command *command) {
  (void)command;
  must(waitpid(zombie, NULL, 0) == zombie);
  answer("0");
}

static void do_exec(struct command *command) {
  (void)command;
  execl("/proc/self/exe", "actor", (char *)NULL);
  answer("!%d", errno);
}

static void *exec_as_thread(void *unused) {
  do_exec(unused);
  return NULL;
}

static void do_exec_in_thread(struct command *command) {
  pthread_t thread;
  must(pthread_create(&thread, NULL, exec_as_thread, command) == 0);
  pause();
}

static void *go_on_without_leader(void *unused) {
  (void)unused;
  wait_for_state(getpid(), 'Z');
  answer("0");
  converse();
  return NULL;
}

// The leader ends, another thread goes on with the conversation: the process shows as a zombie and lives.
static void do_end_leader(struct command *command) {
  pthread_t thread;
  (void)command;
  must(pthread_create(&thread, NULL, go_on_without_leader, NULL) == 0);
  syscall(SYS_exit, 0);
}

// user UID GID [GROUP]
static void do_user(struct command *command) {
  gid_t group = command->count > 3 ? (gid_t)atoi(command->words[3]) : 0;
  gid_t gid = (gid_t)atoi(command->words[2]);
  uid_t uid = (uid_t)atoi(command->words[1]);
  must(setgroups(command->count > 3 ? 1 : 0, &group) == 0);
  must(setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0);
  answer("0");
}

static void do_exit(struct command *command) {
  (void)command;
  syscall(SYS_exit_group, 0);
}

static const struct {
  const char *name;
  int words;  // at least
  void (*act)(struct command *command);
} commands[] = {
    {"write", 3, do_write},
    {"write-in-thread", 3, do_write_in_thread},
    {"read", 2, do_read},
    {"watch", 2, do_watch},
    {"woken", 1, do_woken},
    {"sleep-until-woken", 1, do_sleep_until_woken},
    {"fork", 1, do_fork},
    {"namespace", 1, do_namespace},
    {"leave-zombie", 3, do_leave_zombie},
    {"reap", 1, do_reap},
    {"exec", 1, do_exec},
    {"exec-in-thread", 1, do_exec_in_thread},
    {"end-leader", 1, do_end_leader},
    {"user", 3, do_user},
    {"exit", 1, do_exit},
};

static void act_on(char *line) {
  struct command command = {0};
  char *place;
  for (char *word = strtok_r(line, " ", &place); word && command.count < MAX_WORDS;
       word = strtok_r(NULL, " ", &place))
    command.words[command.count++] = word;
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    if (command.count >= commands[i].words && strcmp(command.words[0], commands[i].name) == 0)
      return commands[i].act(&command);
  fail("no such command: %s", command.count ? command.words[0] : "");
}

static void converse(void) {
  char line[512];
  for (;;) {
    listen_for(line, sizeof line);
    act_on(line);
  }
}

int main(void) {
  answer("%d", getpid());
  converse();
}
