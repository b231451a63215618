/*
 * core/src/worker.c and wake.c: how the thread goes to sleep and is woken, how it is started, and
 * how it finishes, with the buffer of buffer.pml. Producers push; the thread drains and sleeps; a stop
 * may come at any moment; the system may refuse the thread; one producer may stop for ever at any
 * step, but not while it holds the lock. When nothing goes on any more, no word is left behind. If
 * a producer has stopped, one may be: then the next push in another second fetches it.
 *
 * A wait with a time limit always ends, so it is no wait here. The lock is a lock; what it guards
 * beside the buffer is not modelled.
 */
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef PUSHES
#define PUSHES 1
#endif
#ifndef STOPPING
#define STOPPING 1
#endif
#ifndef REFUSALS
#define REFUSALS 1 /* times the system refuses to start a thread */
#endif

#define MAY_STOP if :: true :: _pid < STOPPING -> lost = true; goto stopped fi
#include "buffer.pml"

#define AWAKE  0 /* `sleep_state`: awake, asleep, or the second in which a push began to wake */
#define ASLEEP 1

mtype = { NEW, RUNNING, FINISHED };

byte sleep_state = ASLEEP;
byte second = 2;
byte count;   /* of posts: the futex's word */
bool waiting; /* in the futex's queue */
bool locked;
mtype stage = NEW;
bool stopping;
byte refusals = REFUSALS;
bool lost; /* a producer has stopped */

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

/* FUTEX_WAIT and FUTEX_WAKE */
inline wait(known) {
#ifdef MUTANT_WAIT /* sleeps without comparing the count */
    waiting = true;
#else
    atomic { if :: count == known -> waiting = true :: else fi };
#endif
end_asleep: /* a state to end in */
    !waiting
}
inline post() {
    atomic { MAY_STOP; count++ };
    atomic { MAY_STOP; waiting = false }
}

/* With the lock held. */
inline start() {
    if
    :: stage == NEW && refusals > 0 -> refusals--
    :: stage == NEW -> run thread(); stage = RUNNING
    :: else
    fi
}
inline finish() {
    stage = FINISHED;
    sleep_state = AWAKE;
    drain()
}

/* ds_worker_wake() */
inline wake() {
    atomic { MAY_STOP; running = stage == RUNNING };
    if
    :: running -> post()
    :: else ->
        if
        :: lock()
        :: atomic { locked -> MAY_STOP; !locked -> locked = true }
        fi;
        start();
        unlock()
    fi;
    running = false
}

/* ds_worker_push(). `now`: the sample's second; `state`: what was read. */
inline worker_push() {
    atomic { MAY_STOP; now = second };
    push();
    atomic { MAY_STOP; state = sleep_state };
    if
#ifdef MUTANT_EXCHANGE /* only one push tries to wake it */
    :: state == AWAKE
    :: else ->
        atomic { MAY_STOP; state = sleep_state; sleep_state = AWAKE };
#else
    :: state == AWAKE || state == now
    :: else ->
        atomic {
            MAY_STOP;
            if
            :: sleep_state == state -> sleep_state = now
            :: else -> state = AWAKE
            fi
        };
#endif
        if
        :: state == AWAKE
        :: else -> wake()
        fi
    fi;
    atomic { state = AWAKE; now = 0 }
}

#define LOCALS_OF_WORKER_PUSH byte state, now; bool running; LOCALS_OF_PUSH

active [PRODUCERS] proctype producer() {
    byte pushed;
    LOCALS_OF_WORKER_PUSH;
    do
    :: pushed < PUSHES -> worker_push(); pushed++
    :: else -> break
    od;
stopped:
    skip
}

/* run() and ds_worker_step() */
proctype thread() {
    byte known;
    bool over, limited;
    LOCALS_OF_DRAIN;
    do
    :: !over ->
        known = count;
        sleep_state = AWAKE;
        lock();
        drain();
        if
        :: stopping -> over = true
        :: stopping -> limited = true /* a transfer is in flight */
        :: !stopping && moved -> limited = true
        :: !stopping && !moved ->
#ifdef MUTANT_LOOK /* checks first and stores afterwards that it sleeps */
            drain();
            if
            :: moved
            :: else -> sleep_state = ASLEEP
            fi;
#else
            sleep_state = ASLEEP;
            drain();
            if
            :: moved -> sleep_state = AWAKE
            :: else
            fi;
#endif
            if
            :: limited = true
            :: !moved -> limited = false /* nothing is due, ever */
            fi
        fi;
        unlock();
        if
        :: over || limited
        :: else -> wait(known)
        fi;
        atomic { limited = false; known = 0 }
    :: else -> break
    od;
    lock();
    finish();
    unlock()
}

/* begin_stop() */
active proctype stopper() {
    LOCALS_OF_DRAIN;
    if
    :: true
    :: lock();
        stopping = true;
        drain();
        if
        :: moved -> start()
        :: else
        fi;
        if
        :: stage == NEW -> finish()
        :: else
        fi;
        unlock();
        post()
    fi;
stopped:
    skip
}

#define NOTHING_LEFT (slots[0] == 0 && slots[1] == 0)
/* Without a thread, words wait for a later push to start it; after its end, for whoever asks how
 * many there were. */
#define NO_THREAD (stage != RUNNING)

/* `timeout`: nothing else goes on. */
active proctype latecomer() {
    LOCALS_OF_WORKER_PUSH;
    timeout;
    assert(NOTHING_LEFT || NO_THREAD || lost);
    second++;
    worker_push();
    timeout;
    assert(NOTHING_LEFT || NO_THREAD);
    assert(!inside || taken || NO_THREAD);
    assert(!(taken && refused));
    assert(!locked);
stopped:
    skip
}

/* Producers may see the second change. */
active proctype clock() {
    if
    :: second++
    :: true
    fi
}
