/* How is a lock taken back? What recover and breakGlass have in common: look, handover, clean, clear, ALL CLEAR. */

#define HOLDS_GUARD (guard == me || (copier == me && copied != NOBODY && guard == copied))

/* How far the first recoverer came before it died; only where it is asked whether the second finished. */
#ifdef REACH
byte far;
#define FAR(how) if :: me == R -> far = how :: else fi
inline FINISHED() {
  REACHED(ALL_CLEAR);
  if :: gone[R] -> REACHED(100 + far) :: else fi
}
#else
#define FAR(how) skip
#define FINISHED() skip
#endif

/* assertInForce: before each effect, when what it needs is written. */
#ifdef M_NO_CHECK
#define ASSERT_IN_FORCE() skip
#else
#define ASSERT_IN_FORCE() STEP(if :: over[me] -> goto failed :: else fi)
#endif

/* What must be true at the very moment of an effect. */
inline effect() {
  CHECK(guard_in_hand, HOLDS_GUARD);
  CHECK(effect_in_hold, door == me);
  CHECK(hold_is_acknowledged, room == me && NOBODY_INSIDE);
  CHECK(audit_before_effect, intended[me] > 0)
}

/* examine: gives owner, state, at (the record's epoch), now (the bit's), held. That it looks again until all stood still only makes it refuse more. */
inline look() {
  STEP(owner = rec_owner; state = rec_state; at = rec_epoch);
  STEP(value = conf_locked);
  STEP(now = epoch);
  STEP(held = (guard != NOBODY))
}

/* examineClaim: a soft bit has only the record; it vouches for the bit's epoch or is ahead. */
#define VOUCHES (state != FREE && at >= now)
#ifdef M_SILENCE_IS_DEATH
#define GUARD_SEEN_FREE true
#define PROVEN_GONE(who) true
#else
#define GUARD_SEEN_FREE (!held)
#ifdef M_ABSENT_IS_DEAD
#define PROVEN_GONE(who) (gone[who] || !known[who])
#else
#ifdef M_PID_ONLY
#define PROVEN_GONE(who) (gone[who] && known[who] && !reused[who])
#else
#define PROVEN_GONE(who) (gone[who] && known[who])
#endif
#endif
#endif

/* Whoever has the old file open writes where nobody reads from now on. */
#ifdef M_RECORD_IN_PLACE
#define REPLACE_RECORD skip
#else
#define REPLACE_RECORD rec_fd[A] = false; rec_fd[B] = false
#endif
#ifdef M_BIT_IN_PLACE
#define REPLACE_BIT skip
#define REPLACE_EPOCH skip
#else
#define REPLACE_BIT bit_fd[A] = false; bit_fd[B] = false
#define REPLACE_EPOCH epoch_fd[A] = false; epoch_fd[B] = false
#endif

inline rename_epoch() {
  STEP(if
       :: epoch_new -> effect(); FAR(2); epoch = next; epoch_new = false; between = true; REPLACE_EPOCH; REACHED(EPOCH_RAISED)
       :: else -> goto failed
       fi)
}

inline rename_bit() {
  STEP(if
       :: bit_new ->
          effect();
          FAR(3);
          bit_new = false;
          conf_locked = 1;
          REPLACE_BIT;
          CHECK(one_owner_an_epoch, owner_of[next] == NOBODY);
          owner_of[next] = me;
          handing = true;
          between = false;
          REACHED(HANDED_OVER)
       :: else -> REACHED(FENCED_HANDOVER); goto failed
       fi)
}

/* changeHands with replaceRecord and SoftBitHandover: record, epoch, bit, each written beside its place and renamed. */
inline hand_over() {
  ASSERT_IN_FORCE();
#ifdef M_GAP
  STEP(clear_bit(epoch));
#endif
  STEP(now = epoch; next = AFTER(now, at));                                 /* bit.epoch, nextEpoch */
#ifdef M_CHECK_EARLY
  ASSERT_IN_FORCE();
#endif
  STEP(record_new = true);
#ifndef M_CHECK_EARLY
  ASSERT_IN_FORCE();
#endif
  STEP(if
       :: record_new ->
          taking_effect();
          effect();
          FAR(1);
          name_epoch(next);
          set_record(OWNED, me, next);
          record_new = false;
          handed = true;
          REPLACE_RECORD
       :: else -> REACHED(FENCED_RECORD); goto failed
       fi);
  STEP(if :: epoch == now :: else -> goto failed fi);                       /* SoftBitHandover */
  STEP(epoch_new = true);
  STEP(bit_new = true);
  ASSERT_IN_FORCE();
  rename_epoch();
  rename_bit()
}

/* cleanConfig: no shadow below our epoch is left, then the hash. The validator may refuse. */
inline clean() {
  ASSERT_IN_FORCE();
#ifndef M_NO_SHADOW_REMOVAL
  STEP(listed = shadows & BELOW(next));                                     /* listShadows */
  STEP(shadows = shadows & ~listed; listed = 0);
#endif
  STEP(FAR(4); cleaned = next - 1; hash = file);                                    /* hashFile */
  if
  :: skip
  :: MAY_REFUSE -> goto failed
  fi
}

/* clearBit: as the handover, at the same epoch. */
inline clear() {
  STEP(if :: epoch == next && conf_locked == 1 :: else -> goto failed fi);  /* SoftBitStage */
#ifdef M_CHECK_EARLY
  ASSERT_IN_FORCE();
#endif
  STEP(epoch_new = true);
  STEP(bit_new = true);
#ifndef M_CHECK_EARLY
  ASSERT_IN_FORCE();
#endif
  STEP(if                                                                   /* SoftBitCommit */
       :: epoch_new -> effect(); epoch_new = false; REPLACE_EPOCH
       :: else -> REACHED(FENCED_CLEAR); goto failed
       fi);
  STEP(if
       :: bit_new -> effect(); FAR(5); bit_new = false; handing = false; clear_bit(next); REPLACE_BIT
       :: else -> goto failed
       fi);
  STEP(if :: conf_locked == 0 :: else -> goto failed fi);
  STEP(set_record(FREE, NOBODY, next))
}

/* certify */
inline all_clear() {
  STEP(CHECK(all_clear_when_clean, conf_locked == 0 && NO_OLD_SHADOW && hash == file);
       CHECK(guard_in_hand, HOLDS_GUARD);
       FINISHED())
}

/* We live, but go no further. */
inline resign() {
#ifndef M_NO_RESIGNATION
  STEP(if :: handed -> set_record(RESIGNED, me, next); REACHED(RESIGNS) :: else fi);
#endif
  STEP(record_new = false; epoch_new = false; bit_new = false)
}
