{
  "targets": [
    {
      "target_name": "locksmith",
      "sources": [
        "native/addon.cc",
        "native/environment.cc",
        "native/background.cc",
        "native/reused_threads.cc",
        "native/file_lock.cc",
        "native/lock_wait.cc",
        "native/proc_locks.cc",
        "native/proc_files.cc",
        "native/fdinfo.cc",
        "native/proc_process.cc",
        "native/kcmp.cc",
        "native/process_survey.cc",
        "native/share_work.cc",
        "native/lock_survey.cc",
        "native/lock_values.cc",
        "native/pidfd.cc",
        "native/lock_bit.cc",
        "native/hold_supervisor.cc",
        "native/close_watch.cc",
        "native/xattr.cc",
        "native/unix_peer.cc",
        "native/notify.cc",
        "native/page.cc",
        "native/path_lock.cc"
      ],
      "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS", "_GNU_SOURCE"],
      "cflags": ["-isystem", "<!(node -p \"require('path').resolve(require('node-addon-api').include_dir)\")"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++20", "-Wall", "-Wextra", "-Wshadow", "-Wpedantic", "-Werror", "-fvisibility=hidden"],
      # Node unloads an addon with its last worker thread; the signal handler of lock_wait.cc and threads on their way out must outlive that.
      "ldflags": ["-Wl,-z,nodelete"],
      "libraries": ["-lpthread"]
    }
  ]
}
