/* How does everything stop for a bounded time? lib/recovery/hold.ts, native/hold_timer.cc, and who passes the gate without a lock. */

/* hold(): the timer, the door, the room. Each wait may end at the deadline: then goto refused. */
inline shut_door() {
  if
  :: atomic { door == NOBODY && !over[me] -> door = me }                    /* shutDoor */
  :: atomic { over[me] -> goto refused }
  :: OR_NOT
  fi
}

inline start_timer() {
#ifdef M_NO_TIMER
  skip
#else
  STEP(timer[me] = true; channel[me] = true)                                /* StartHoldTimer */
#endif
}

inline announce() {
#ifdef M_DOOR_FIRST
  shut_door();
  start_timer()
#else
  start_timer();
  shut_door()
#endif
}

#define NOBODY_INSIDE (!inside[A] && !inside[B] && !inside[C] && !inside[O])

inline empty_room() {
#ifdef M_NO_ACKNOWLEDGEMENT
  skip
#else
  if
  :: atomic { NOBODY_INSIDE && door == me -> room = me }                    /* emptyRoom */
  :: atomic { over[me] -> goto refused }
  :: OR_NOT
  fi
#endif
}

/* Hold.release: unlock, close the channel, wait for the timer's end. */
inline end_hold() {
  STEP(unlock_gate(me));
  STEP(channel[me] = false);
  STEP(!timer[me] -> over[me] = false)
}

#ifdef M_TELL_LAST
#define TELL_FIRST(whose) skip
#define TELL_LAST(whose) over[whose] = true
#else
#define TELL_FIRST(whose) over[whose] = true
#define TELL_LAST(whose) skip
#endif

#ifdef M_OPEN_FIRST
#define OPEN_FIRST(whose) atomic { unlock_gate(whose) }
#define OPEN_LAST(whose) skip
#else
#define OPEN_FIRST(whose) skip
#define OPEN_LAST(whose) atomic { unlock_gate(whose) }
#endif

inline sweep() {
#ifndef M_NO_SWEEP
  atomic { record_new = false; epoch_new = false; bit_new = false }
#else
  skip
#endif
}

/* RunTimer. Its copy of the gate's description keeps the gate shut until it ends or unlocks. */
proctype Timer(byte whose) {
end_idle:
  do
  :: atomic { timer[whose] && !channel[whose] -> unlock_gate(whose); timer[whose] = false }
  :: atomic { timer[whose] && channel[whose] && EXPIRES -> expired(); TELL_FIRST(whose) };
     OPEN_FIRST(whose);
     sweep();
     OPEN_LAST(whose);
     TELL_LAST(whose);
     atomic { timer[whose] = false }
  od
}

/* A program of the orchestrator passes the gate in cycles (ConfigLock.enter). A deaf one never leaves. */
proctype Orchestrator() {
end_outside:
  do
  :: atomic { door == NOBODY -> CHECK(nobody_works_in_a_hold, room == NOBODY); inside[O] = true };
     if
     :: atomic { inside[O] = false }
     :: MAY_BE_DEAF -> break
     fi
  od;
end_deaf:
  false
}
