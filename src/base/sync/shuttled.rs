//! Shuttle's locks in the form of `parking_lot`'s, which are not poisoned and whose guards stay where they are.

use shuttle::{sync, thread};
use std::{
    ops::{Deref, DerefMut},
    sync::PoisonError,
    time::Duration,
};

/// See `parking_lot::Mutex`.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// See `parking_lot::MutexGuard`.
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    inner: Option<sync::MutexGuard<'a, T>>,
}

/// See `parking_lot::Condvar`.
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

/// See `parking_lot::RwLock`.
#[derive(Debug, Default)]
pub struct RwLock<T>(sync::RwLock<T>);

/// See `parking_lot::ReentrantMutex`.
#[derive(Debug, Default)]
pub struct ReentrantMutex<T> {
    owner: Mutex<Option<Owner>>,
    free: Condvar,
    value: T,
}

#[derive(Debug)]
struct Owner {
    thread: thread::ThreadId,
    times: usize,
}

/// See `parking_lot::ReentrantMutexGuard`.
#[derive(Debug)]
pub struct ReentrantMutexGuard<'a, T>(&'a ReentrantMutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { mutex: self, inner: Some(inner) }
    }

    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|inner| MutexGuard { mutex: self, inner: Some(inner) })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.inner.as_ref().expect("taken only while it waits")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("taken only while it waits")
    }
}

impl Condvar {
    pub const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let inner = guard.inner.take().expect("taken only while it waits");
        guard.inner = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
    }

    /// There is no time here: others go on for as long as the test lets them, and the caller looks at its clock again.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) {
        drop(guard.inner.take());
        thread::yield_now();
        guard.inner = guard.mutex.lock().inner;
    }

    /// Unlike `parking_lot`'s it does not know whether anyone waited.
    pub fn notify_one(&self) -> bool {
        self.0.notify_one();
        true
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl<T> RwLock<T> {
    pub const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }

    pub fn read(&self) -> sync::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> sync::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> ReentrantMutex<T> {
    pub const fn new(value: T) -> Self {
        Self { owner: Mutex::new(None), free: Condvar::new(), value }
    }

    pub fn lock(&self) -> ReentrantMutexGuard<'_, T> {
        let mut owner = self.owner.lock();
        while !enter(&mut owner) {
            self.free.wait(&mut owner);
        }
        ReentrantMutexGuard(self)
    }

    pub fn try_lock(&self) -> Option<ReentrantMutexGuard<'_, T>> {
        enter(&mut self.owner.lock()).then(|| ReentrantMutexGuard(self))
    }
}

/// Makes this thread the owner, once more if it is; false when another one is.
fn enter(owner: &mut Option<Owner>) -> bool {
    let thread = thread::current().id();
    let owner = owner.get_or_insert(Owner { thread, times: 0 });
    owner.times += usize::from(owner.thread == thread);
    owner.thread == thread
}

impl<T> Deref for ReentrantMutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Drop for ReentrantMutexGuard<'_, T> {
    fn drop(&mut self) {
        let mut owner = self.0.owner.lock();
        let Some(held) = &mut *owner else { return };
        held.times -= 1;
        if held.times == 0 {
            *owner = None;
            self.0.free.notify_one();
        }
    }
}
