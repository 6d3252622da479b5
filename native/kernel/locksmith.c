// SPDX-License-Identifier: GPL-2.0-only
/*
 * locksmith - lock bits in /sys/locks that know their owner
 *
 * A lock bit says "this configuration is being changed".  It outlives whoever set it, on purpose: a
 * bit whose owner is dead says that a change was cut short.  This module keeps the bits, and for
 * each the process that set it and a fencing token (epoch).  What the files mean stands in
 * docs/sysfs-locks.
 *
 * The owner is a thread group, kept as a referenced struct pid.  The number in it can be given to
 * another process once the owner is gone, the struct can not: so a reused pid is never taken for
 * the owner.
 *
 * Locking
 *
 *   ls_mutex     which locks there are: create and remove.  kobject_del() waits for the running
 *                shows and stores of a lock's own files, and is called with ls_mutex held: so
 *                none of them may take it.  Nor may module exit hold it while it removes
 *                "create" and "remove", which take it.
 *   ls->lock     the state of one lock.  Taken inside nothing; pid->wait_pidfd.lock and
 *                ls_epoch_lock nest in it.
 *
 * ls_owner_exits() runs in the exit path of the owner under tasklist_lock, interrupts off: all it
 * does is to queue work.
 *
 * Lifetime
 *
 *   The kobject owns its struct ls_lock.  The work that wakes pollers is cancelled when the lock
 *   is removed: by then nobody can become the owner any more, so nobody queues it again.
 *   A set bit holds a reference on the module.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>
#include <linux/version.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#define LS_NAME_MAX	63
/* User space reads epochs into doubles. */
#define LS_EPOCH_MAX	((1ULL << 53) - 1)
/* Each second of the clock has 2^20. */
#define LS_EPOCH_SHIFT	20
#define LS_NSEC_SHIFT	10

struct ls_lock {
	struct kobject kobj;
	kuid_t uid;			/* of the creator */
	kgid_t gid;
	spinlock_t lock;		/* the rest */
	bool live;			/* its files are there, and it is not being removed */
	struct pid *owner;		/* a reference; NULL: the bit is clear */
	u64 epoch;			/* of the last acquisition; 0: there was none */
	struct wait_queue_entry exit_wait;	/* in owner->wait_pidfd */
	struct work_struct wake_work;
	struct kernfs_node *kn_locked;
	struct kernfs_node *kn_owner;
};

static DEFINE_MUTEX(ls_mutex);
static struct kset *ls_kset;
static struct kmem_cache *ls_cache;
static unsigned int ls_count;		/* ls_mutex */

static unsigned int max_locks = 4096;
module_param(max_locks, uint, 0644);
MODULE_PARM_DESC(max_locks, "most locks at a time");

static inline struct ls_lock *to_lock(struct kobject *kobj)
{
	return container_of(kobj, struct ls_lock, kobj);
}

/* ---- epochs ---------------------------------------------------------------------------------
 *
 * One counter for all locks: a lock that is removed and created again must not give out an epoch
 * twice.  It begins at the clock, about one for each microsecond since 1970, so that it also goes
 * on above the last load of the module, be that of the same second; where the clock may have been
 * set back meanwhile, epoch_base says how far it had come.
 */

static DEFINE_SPINLOCK(ls_epoch_lock);
static u64 ls_epoch;			/* the last one given out */

static void ls_raise_epoch(u64 least)
{
	spin_lock(&ls_epoch_lock);
	ls_epoch = max(ls_epoch, least);
	spin_unlock(&ls_epoch_lock);
}

static u64 ls_clock(void)
{
	struct timespec64 now;

	ktime_get_real_ts64(&now);
	return ((u64)now.tv_sec << LS_EPOCH_SHIFT) + (now.tv_nsec >> LS_NSEC_SHIFT);
}

static int ls_next_epoch(u64 *epoch)
{
	int ret = -EOVERFLOW;

	spin_lock(&ls_epoch_lock);
	if (ls_epoch < LS_EPOCH_MAX) {
		*epoch = ++ls_epoch;
		ret = 0;
	}
	spin_unlock(&ls_epoch_lock);
	return ret;
}

static int epoch_base_set(const char *val, const struct kernel_param *kp)
{
	u64 base;
	int ret;

	ret = kstrtou64(val, 10, &base);
	if (ret)
		return ret;
	if (base > LS_EPOCH_MAX)
		return -ERANGE;
	ls_raise_epoch(base);
	return 0;
}

static int epoch_base_get(char *buf, const struct kernel_param *kp)
{
	u64 epoch;

	spin_lock(&ls_epoch_lock);
	epoch = ls_epoch;
	spin_unlock(&ls_epoch_lock);
	return sysfs_emit(buf, "%llu\n", epoch);
}

static const struct kernel_param_ops epoch_base_ops = {
	.set = epoch_base_set,
	.get = epoch_base_get,
};
module_param_cb(epoch_base, &epoch_base_ops, NULL, 0644);
MODULE_PARM_DESC(epoch_base, "epochs given out from now on are above this, and never below the clock at load");

/* ---- the owner ------------------------------------------------------------------------------ */

/*
 * A zombie is dead: it can not act any more.  But one whose other threads go on is not, although
 * its leader shows as a zombie.  The same rule as for poll() on a pidfd.
 */
static bool ls_alive(struct pid *pid)
{
	struct task_struct *leader;
	bool alive;

	rcu_read_lock();
	leader = pid_task(pid, PIDTYPE_TGID);
	alive = leader && !(READ_ONCE(leader->exit_state) && thread_group_empty(leader));
	rcu_read_unlock();
	return alive;
}

static void ls_wake_pollers(struct ls_lock *ls)
{
	sysfs_notify_dirent(ls->kn_locked);
	sysfs_notify_dirent(ls->kn_owner);
}

static void ls_wake_work(struct work_struct *work)
{
	ls_wake_pollers(container_of(work, struct ls_lock, wake_work));
}

static int ls_owner_exits(struct wait_queue_entry *wait, unsigned int mode, int sync, void *key)
{
	schedule_work(&container_of(wait, struct ls_lock, exit_wait)->wake_work);
	return 0;
}

static void ls_leave_owner(struct ls_lock *ls)
{
	remove_wait_queue(&ls->owner->wait_pidfd, &ls->exit_wait);
	put_pid(ls->owner);
}

/* Makes the writer the owner, at a new epoch.  A bit that is set never shows as clear meanwhile. */
static int ls_own(struct ls_lock *ls)
{
	u64 epoch;
	int ret;

	lockdep_assert_held(&ls->lock);
	if (!ls->owner && !try_module_get(THIS_MODULE))
		return -ENODEV;
	ret = ls_next_epoch(&epoch);
	if (ret) {
		if (!ls->owner)
			module_put(THIS_MODULE);
		return ret;
	}
	if (ls->owner)
		ls_leave_owner(ls);
	ls->epoch = epoch;
	WRITE_ONCE(ls->owner, get_pid(task_tgid(current)));
	add_wait_queue(&ls->owner->wait_pidfd, &ls->exit_wait);
	return 0;
}

/*
 * Clears the bit.  To give the module back from inside its own code is safe here: its exit waits
 * until the files are gone, and those wait for whoever is in a store.
 */
static int ls_disown(struct ls_lock *ls)
{
	lockdep_assert_held(&ls->lock);
	ls_leave_owner(ls);
	WRITE_ONCE(ls->owner, NULL);
	module_put(THIS_MODULE);
	return 0;
}

/* ---- what may be done to a bit --------------------------------------------------------------
 *
 * Each of these is called with ls->lock held, compares, and changes all or nothing.
 */

static int ls_acquire(struct ls_lock *ls, u64 unused)
{
	if (ls->owner)
		return ls_alive(ls->owner) ? -EBUSY : -EOWNERDEAD;
	return ls_own(ls);
}

/* Is the owner dead, or the writer itself?  Then it may be taken from. */
static int ls_check_owner(struct ls_lock *ls)
{
	if (!ls->owner)
		return -EALREADY;
	if (ls->owner != task_tgid(current) && ls_alive(ls->owner))
		return -EBUSY;
	return 0;
}

static int ls_clear(struct ls_lock *ls, u64 unused)
{
	return ls_check_owner(ls) ?: ls_disown(ls);
}

static int ls_check_epoch(struct ls_lock *ls, u64 epoch)
{
	return ls->epoch == epoch ? 0 : -ESTALE;
}

static int ls_release(struct ls_lock *ls, u64 epoch)
{
	return ls_check_epoch(ls, epoch) ?: ls_check_owner(ls) ?: ls_disown(ls);
}

static int ls_handover(struct ls_lock *ls, u64 epoch)
{
	return ls_check_epoch(ls, epoch) ?: ls_check_owner(ls) ?: ls_own(ls);
}

static int ls_force(struct ls_lock *ls, u64 epoch)
{
	return ls_check_epoch(ls, epoch) ?: ls_own(ls);
}

static ssize_t ls_change(struct kobject *kobj, int (*act)(struct ls_lock *ls, u64 epoch), u64 epoch,
			 size_t len)
{
	struct ls_lock *ls = to_lock(kobj);
	int ret;

	spin_lock(&ls->lock);
	ret = ls->live ? act(ls, epoch) : -ENODEV;
	spin_unlock(&ls->lock);
	if (ret)
		return ret;
	ls_wake_pollers(ls);
	return len;
}

/* ---- files of a lock ------------------------------------------------------------------------ */

static ssize_t conf_locked_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(to_lock(kobj)->owner) ? 1 : 0);
}

static ssize_t conf_locked_store(struct kobject *kobj, struct kobj_attribute *attr,
				 const char *buf, size_t len)
{
	/* Not kstrtobool(), which takes "nonsense" for a no.  And nothing may hide behind a NUL. */
	if (strlen(buf) != len)
		return -EINVAL;
	if (sysfs_streq(buf, "1"))
		return ls_change(kobj, ls_acquire, 0, len);
	if (sysfs_streq(buf, "0"))
		return ls_change(kobj, ls_clear, 0, len);
	return -EINVAL;
}

static ssize_t owner_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct ls_lock *ls = to_lock(kobj);
	ssize_t len;

	spin_lock(&ls->lock);
	if (ls->owner)
		len = sysfs_emit(buf, "%d %s\n", pid_vnr(ls->owner),
				 ls_alive(ls->owner) ? "alive" : "dead");
	else
		len = sysfs_emit(buf, "none\n");
	spin_unlock(&ls->lock);
	return len;
}

static ssize_t epoch_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct ls_lock *ls = to_lock(kobj);
	u64 epoch;

	spin_lock(&ls->lock);
	epoch = ls->epoch;
	spin_unlock(&ls->lock);
	return sysfs_emit(buf, "%llu\n", epoch);
}

static int ls_parse_epoch(const char *buf, size_t len, u64 *epoch)
{
	/* kstrtou64() would take a sign. */
	if (strlen(buf) != len || !isdigit(buf[0]))
		return -EINVAL;
	return kstrtou64(buf, 10, epoch);
}

static ssize_t release_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t len)
{
	u64 epoch;
	int ret = ls_parse_epoch(buf, len, &epoch);

	return ret ?: ls_change(kobj, ls_release, epoch, len);
}

static ssize_t handover_store(struct kobject *kobj, struct kobj_attribute *attr,
			      const char *buf, size_t len)
{
	u64 epoch;
	int ret = ls_parse_epoch(buf, len, &epoch);

	return ret ?: ls_change(kobj, ls_handover, epoch, len);
}

static ssize_t force_store(struct kobject *kobj, struct kobj_attribute *attr,
			   const char *buf, size_t len)
{
	u64 epoch;
	int ret = ls_parse_epoch(buf, len, &epoch);

	if (ret)
		return ret;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return ls_change(kobj, ls_force, epoch, len);
}

static struct kobj_attribute conf_locked_attr = __ATTR_RW(conf_locked);
static struct kobj_attribute owner_attr = __ATTR_RO(owner);
static struct kobj_attribute epoch_attr = __ATTR_RO(epoch);
static struct kobj_attribute release_attr = __ATTR_WO(release);
static struct kobj_attribute handover_attr = __ATTR_WO(handover);
static struct kobj_attribute force_attr = __ATTR_WO(force);

static struct attribute *ls_lock_attrs[] = {
	&conf_locked_attr.attr,
	&owner_attr.attr,
	&epoch_attr.attr,
	&release_attr.attr,
	&handover_attr.attr,
	&force_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(ls_lock);

static void ls_lock_free(struct kobject *kobj)
{
	struct ls_lock *ls = to_lock(kobj);

	sysfs_put(ls->kn_locked);
	sysfs_put(ls->kn_owner);
	kmem_cache_free(ls_cache, ls);
}

/* The creator's user owns the directory and its files. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
static void ls_get_ownership(const struct kobject *kobj, kuid_t *uid, kgid_t *gid)
#else
static void ls_get_ownership(struct kobject *kobj, kuid_t *uid, kgid_t *gid)
#endif
{
	const struct ls_lock *ls = container_of(kobj, const struct ls_lock, kobj);

	*uid = ls->uid;
	*gid = ls->gid;
}

static struct kobj_type ls_ktype = {
	.sysfs_ops = &kobj_sysfs_ops,
	.release = ls_lock_free,
	.default_groups = ls_lock_groups,
	.get_ownership = ls_get_ownership,
};

/* ---- create and remove ---------------------------------------------------------------------- */

static int ls_parse_name(char *name, const char *buf, size_t len)
{
	size_t i;

	if (len && buf[len - 1] == '\n')
		len--;
	if (len > LS_NAME_MAX)
		return -ENAMETOOLONG;
	if (!len || !isascii(buf[0]) || !isalnum(buf[0]))
		return -EINVAL;
	for (i = 1; i < len; i++) {
		if (buf[i] == '.' && buf[i - 1] == '.')
			return -EINVAL;
		if (!isascii(buf[i]) || !(isalnum(buf[i]) || (buf[i] && strchr("._-", buf[i]))))
			return -EINVAL;
	}
	memcpy(name, buf, len);
	name[len] = 0;
	return 0;
}

static bool ls_name_taken(const char *name)
{
	struct kobject *other;

	if (!strcmp(name, "create") || !strcmp(name, "remove"))
		return true;
	other = kset_find_obj(ls_kset, name);
	kobject_put(other);
	return other;
}

static struct ls_lock *ls_alloc(void)
{
	struct ls_lock *ls = kmem_cache_zalloc(ls_cache, GFP_KERNEL_ACCOUNT);

	if (!ls)
		return NULL;
	ls->uid = current_fsuid();
	ls->gid = current_fsgid();
	spin_lock_init(&ls->lock);
	init_waitqueue_func_entry(&ls->exit_wait, ls_owner_exits);
	INIT_WORK(&ls->wake_work, ls_wake_work);
	ls->kobj.kset = ls_kset;
	return ls;
}

/* Its files work as soon as they are there; it goes live when its pollers can be woken. */
static int ls_publish(struct ls_lock *ls, const char *name)
{
	int ret = kobject_init_and_add(&ls->kobj, &ls_ktype, NULL, "%s", name);

	if (ret)
		return ret;
	ls->kn_locked = sysfs_get_dirent(ls->kobj.sd, "conf_locked");
	ls->kn_owner = sysfs_get_dirent(ls->kobj.sd, "owner");
	if (!ls->kn_locked || !ls->kn_owner)
		return -ENOENT;
	spin_lock(&ls->lock);
	ls->live = true;
	spin_unlock(&ls->lock);
	kobject_uevent(&ls->kobj, KOBJ_ADD);
	return 0;
}

static int ls_create(const char *name)
{
	struct ls_lock *ls;
	int ret;

	lockdep_assert_held(&ls_mutex);
	/* kobject_add() would refuse it too, but with a stack trace in the log. */
	if (ls_name_taken(name))
		return -EEXIST;
	if (ls_count >= READ_ONCE(max_locks))
		return -ENOSPC;
	ls = ls_alloc();
	if (!ls)
		return -ENOMEM;
	ret = ls_publish(ls, name);
	if (ret)
		kobject_put(&ls->kobj);
	else
		ls_count++;
	return ret;
}

/*
 * Nobody can become its owner any more.  Waits for running shows and stores, then for the work.
 * sysfs wakes nobody when a file goes: who sleeps in a poll would never hear of it.
 */
static void ls_delete(struct ls_lock *ls)
{
	kobject_del(&ls->kobj);
	ls_wake_pollers(ls);
	cancel_work_sync(&ls->wake_work);
	kobject_put(&ls->kobj);
	ls_count--;
}

static int ls_remove(struct ls_lock *ls)
{
	int ret = 0;

	lockdep_assert_held(&ls_mutex);
	if (!uid_eq(current_fsuid(), ls->uid) && !capable(CAP_FOWNER))
		return -EPERM;
	spin_lock(&ls->lock);
	if (ls->owner)
		ret = -EBUSY;
	else
		ls->live = false;
	spin_unlock(&ls->lock);
	if (!ret)
		ls_delete(ls);
	return ret;
}

static ssize_t create_store(struct kobject *kobj, struct kobj_attribute *attr,
			    const char *buf, size_t len)
{
	char name[LS_NAME_MAX + 1];
	int ret = ls_parse_name(name, buf, len);

	if (ret)
		return ret;
	mutex_lock(&ls_mutex);
	ret = ls_create(name);
	mutex_unlock(&ls_mutex);
	return ret ?: len;
}

static ssize_t remove_store(struct kobject *kobj, struct kobj_attribute *attr,
			    const char *buf, size_t len)
{
	char name[LS_NAME_MAX + 1];
	struct kobject *found;
	int ret = ls_parse_name(name, buf, len);

	if (ret)
		return ret;
	mutex_lock(&ls_mutex);
	found = kset_find_obj(ls_kset, name);
	ret = found ? ls_remove(to_lock(found)) : -ENOENT;
	kobject_put(found);
	mutex_unlock(&ls_mutex);
	return ret ?: len;
}

static struct kobj_attribute create_attr = __ATTR_WO(create);
static struct kobj_attribute remove_attr = __ATTR_WO(remove);

static const struct attribute *ls_top_attrs[] = {
	&create_attr.attr,
	&remove_attr.attr,
	NULL
};

/* ---- module --------------------------------------------------------------------------------- */

static int __init ls_init(void)
{
	int ret = -ENOMEM;

	ls_raise_epoch(ls_clock());
	ls_cache = kmem_cache_create("locksmith_lock", sizeof(struct ls_lock), 0, 0, NULL);
	if (!ls_cache)
		return ret;
	ls_kset = kset_create_and_add("locks", NULL, NULL);
	if (!ls_kset)
		goto fail_cache;
	/* Last: from here on, locks are created. */
	ret = sysfs_create_files(&ls_kset->kobj, ls_top_attrs);
	if (ret)
		goto fail_kset;
	return 0;

fail_kset:
	kset_unregister(ls_kset);
fail_cache:
	kmem_cache_destroy(ls_cache);
	return ret;
}

static void __exit ls_exit(void)
{
	struct ls_lock *ls;

	sysfs_remove_files(&ls_kset->kobj, ls_top_attrs);
	while (!list_empty(&ls_kset->list)) {
		ls = to_lock(list_first_entry(&ls_kset->list, struct kobject, entry));
		spin_lock(&ls->lock);
		ls->live = false;
		if (ls->owner) {		/* only with rmmod -f */
			pr_warn("%s: unloaded while it was held\n", kobject_name(&ls->kobj));
			ls_disown(ls);
		}
		spin_unlock(&ls->lock);
		ls_delete(ls);
	}
	kset_unregister(ls_kset);
	kmem_cache_destroy(ls_cache);
}

module_init(ls_init);
module_exit(ls_exit);
MODULE_DESCRIPTION("Lock bits in /sys/locks that know their owner");
MODULE_AUTHOR("The Locksmith authors");
MODULE_VERSION("0.1.0");
MODULE_LICENSE("GPL");
