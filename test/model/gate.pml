/* How does everything stop for a bounded time? lib/recovery/hold.ts, native/hold_supervisor.cc, and who passes the gate without a lock. */

/* hold(): the supervisor, the door, the room. Each wait may end at the deadline: then goto refused. */
inline shut_door() {
  if
  :: atomic { door == NOBODY && !over[me] -> door = me }                    /* shutDoor */
  :: atomic { over[me] -> goto refused }
  :: OR_NOT
  fi
}

inline start_supervisor() {
#ifdef M_NO_SUPERVISOR
  skip
#else
  STEP(supervised[me] = true; channel[me] = true)                                /* StartHoldSupervisor */
#endif
}

inline announce() {
#ifdef M_DOOR_FIRST
  shut_door();
  start_supervisor()
#else
  start_supervisor();
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

/* Hold.release: unlock, close the channel, wait for the supervisor's end. */
inline end_hold() {
  STEP(unlock_gate(me));
  STEP(channel[me] = false);
  STEP(!supervised[me] -> over[me] = false)
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

/* Supervisor::Run. Its copy of the gate's description keeps the gate shut until it ends or unlocks. */
proctype Supervisor(byte whose) {
end_idle:
  do
  :: atomic { supervised[whose] && !channel[whose] && !gone[whose] -> unlock_gate(whose); supervised[whose] = false }
  :: atomic { supervised[whose] && !channel[whose] && gone[whose] -> skip };
     sweep();
     atomic { unlock_gate(whose); supervised[whose] = false }
  :: atomic { supervised[whose] && channel[whose] && EXPIRES -> expired(); TELL_FIRST(whose) };
     OPEN_FIRST(whose);
     sweep();
     OPEN_LAST(whose);
     TELL_LAST(whose);
     atomic { supervised[whose] = false }
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
