/* How does a program become the owner, update, and release? lib/lock, system call by system call. */

#ifdef M_IGNORE_BIT
#define BIT_AS_SEEN 0
#else
#define BIT_AS_SEEN conf_locked
#endif
#ifdef M_NO_ENTRY
#define ENTER_CONDITION true
#else
#define ENTER_CONDITION (door == NOBODY)
#endif

/* UnlessReplaced. */
#ifdef M_NO_LAST_LOOK
#define STILL_CURRENT true
#else
#define STILL_CURRENT (bit_fd[me] && epoch_fd[me])
#endif

#ifdef M_NO_GUARD
#define GUARD_IS_FREE true
#else
#define GUARD_IS_FREE (guard == NOBODY)
#endif

/* ConfigLock.#takeGuard: gives guard and gate. */
inline take_guard() {
  STEP(door == NOBODY);                                                     /* waitUntilOpen */
  STEP(waits[me] = true);
  STEP(GUARD_IS_FREE -> lock_guard(me); waits[me] = false);                   /* LockFile.wait */
  if                                                                        /* tryEnter */
  :: atomic { ENTER_CONDITION -> inside[me] = true; working[me] = true }
  :: atomic { !(ENTER_CONDITION) -> skip };
     STEP(unlock_guard(me));
     goto parked
  :: OR_NOT
  fi
}

inline write_owned() {
  STEP(name_epoch(mine);                                                    /* RecordFile.write */
       times--;
       if :: rec_fd[me] -> set_record(OWNED, me, mine) :: else -> goto fenced fi)
}

inline claim() {
  CHECK(one_owner_an_epoch, owner_of[mine] == NOBODY);
  CHECK(one_owner, (me == A || owns[A] <= forced_below) && (me == B || owns[B] <= forced_below));
  CHECK(nobody_works_in_a_hold, room == NOBODY || evicted[me]);
  owner_of[mine] = me;
  owns[me] = mine;
  if :: cleaned > 0 -> REACHED(OWNER_AFTER_ALL_CLEAR) :: else fi
}

/* become, setBit, changeHands, SoftBitSet. Of files that were replaced it reads what was there before; nobody is fenced who is not on record yet. */
inline become() {
  STEP(bit_fd[me] = true);                                                  /* openFiles: OpenSoftBit */
  STEP(epoch_fd[me] = true);
  STEP(rec_fd[me] = true);                                                  /* openRecord */
  STEP(CHECK(files_of_the_guard, rec_fd[me]); seen = rec_epoch);             /* RecordFile.read */
#ifndef M_IGNORE_BIT
  STEP(CHECK(files_of_the_guard, bit_fd[me]);                               /* OpenBit.read */
       if :: conf_locked == 1 -> goto orphaned :: else fi);
#endif
  STEP(CHECK(files_of_the_guard, epoch_fd[me]);                             /* OpenBit.epoch, nextEpoch */
       expected = epoch;
       mine = AFTER(expected, seen);
       seen = 0);
  write_owned();
  STEP(if :: bit_fd[me] -> seen = BIT_AS_SEEN :: else fi);                  /* SoftBitSet: LockAndRead */
  STEP(if :: seen == 0 && (!epoch_fd[me] || epoch == expected) :: else -> goto fenced fi);
  STEP(if :: epoch_fd[me] -> epoch = mine :: else fi);                      /* WriteText */
  STEP(if
       :: bit_fd[me] -> CHECK(orphan_is_not_used, conf_locked == 0); conf_locked = 1
       :: else
       fi);
  STEP(if :: STILL_CURRENT -> claim() :: else -> goto fenced fi);
  STEP(expected = 0; if :: guard == me -> marked = true :: else fi) /* markOwner */
}

/* OwnedConfig.checkFence. */
inline check_fence() {
#ifndef M_NO_FENCE
  STEP(if :: epoch == mine :: else -> goto fenced fi);
  STEP(if :: rec_fd[me] :: else -> goto fenced fi)
#else
  skip
#endif
}

/* updateConfig. The plan in the record is for `outcomeOf` only, and what follows from it here is that the file is old or new. */
inline update() {
  STEP(if :: rec_fd[me] :: else -> goto fenced fi);                         /* planUpdate */
  STEP(shadows = shadows | (1 << mine));                                    /* writeShadow */
  if
  :: check_fence();                                                         /* commit */
     STEP(if
          :: shadows & (1 << mine) ->
             CHECK(no_commit_below_the_epoch, mine > cleaned);
             CHECK(nobody_works_in_a_hold, room == NOBODY || evicted[me]);
             shadows = shadows & ~(1 << mine);
             file = mine
          :: else -> REACHED(SHADOW_GONE); goto fenced
          fi)
  :: STEP(shadows = shadows & ~(1 << mine))                                 /* validateShadow refuses: rollBack */
  fi;
  STEP(if :: rec_fd[me] :: else -> goto fenced fi)                          /* endUpdate */
}

/* OwnedConfig.release, SoftBitClear. */
inline release() {
  STEP(if :: rec_fd[me] :: else -> goto fenced fi);                         /* RecordFile.isCurrent */
  STEP(if :: bit_fd[me] -> seen = conf_locked :: else -> seen = 1 fi);      /* LockAndRead */
  STEP(if :: seen == 1 && (!epoch_fd[me] || epoch == mine) :: else -> goto fenced fi);
  STEP(if :: bit_fd[me] -> clear_bit(mine) :: else fi; owns[me] = 0);       /* WriteText */
  STEP(if :: STILL_CURRENT :: else -> goto fenced fi);
  STEP(if :: rec_fd[me] -> set_record(FREE, NOBODY, mine) :: else -> goto fenced fi);
  atomic { bit_fd[me] = false; epoch_fd[me] = false; rec_fd[me] = false; mine = 0; seen = 0 }
}

inline give_up() {
  STEP(rec_fd[me] = false; bit_fd[me] = false; epoch_fd[me] = false; mine = 0; expected = 0; seen = 0);
  STEP(close_guard(me));
  STEP(close_gate(me))
}

/* `starts` as the owner of epoch 1, or with nothing. Becomes the owner at most `times`. */
proctype Program(byte me; bool starts; byte times) {
  byte seen;
  byte expected;
  byte mine;

  if
  :: starts -> mine = 1
  :: else ->
parked:
     take_guard();
     become();
     REACHED(OWNER_AGAIN)
  fi;
  if
  :: UPDATES -> update()
  :: skip
  fi;
  release();
  give_up();
  REACHED(RELEASED);
  goto next;
fenced:
  /* rollBack; what an owner was that is fenced, it is no more. */
  STEP(REACHED(FENCED); shadows = shadows & ~(1 << mine); owns[me] = 0);
  give_up();
  goto next;
orphaned:
  REACHED(ORPHANED);
  give_up();
end_orphaned:
  STEP(conf_locked == 0);                                                           /* onOrphan: wait */
next:
  if
  :: times > 0 -> goto parked
  :: else -> goto done
  fi;
died:
  atomic { BEQUEATH; die(me); times = 0; mine = 0; expected = 0; seen = 0; REACHED(DIED) };
  goto done;
frozen:
end_frozen:
  false;
done:
  skip
}
