/** P1-04: the limits of containers, of both versions of control groups, as the files of real ones have them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { containerLimits, type OomKills, oomCounter } from '../../../src/system/cgroup.ts';
import { availableMemory } from '../../../src/system/memory.ts';

function machine(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'prefork-cgroup-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const gib = 2 ** 30;

describe('P1-04 limits of a container', () => {
  it('version 2, in a namespace of its own: docker run --cpus 1.5 -m 1g', (t) => {
    const root = machine(t, {
      'proc/self/cgroup': '0::/\n',
      'proc/self/mountinfo': '648 640 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n',
      'sys/fs/cgroup/cpu.max': '150000 100000\n',
      'sys/fs/cgroup/memory.max': `${gib}\n`,
    });
    assert.deepEqual(containerLimits(root), { cpus: 1.5, memory: gib });
  });

  it('version 2, a systemd service: the least of all that are above counts, "max" is none', (t) => {
    const root = machine(t, {
      'proc/self/cgroup': '0::/system.slice/shop.service\n',
      'proc/self/mountinfo': '30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
      'sys/fs/cgroup/system.slice/cpu.max': '200000 100000',
      'sys/fs/cgroup/system.slice/memory.max': 'max',
      'sys/fs/cgroup/system.slice/shop.service/cpu.max': 'max 100000',
      'sys/fs/cgroup/system.slice/shop.service/memory.max': `${2 * gib}`,
    });
    assert.deepEqual(containerLimits(root), { cpus: 2, memory: 2 * gib });
  });

  it('version 1, without a namespace: what is mounted is the container’s own part', (t) => {
    const root = machine(t, {
      'proc/self/cgroup': '9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n',
      'proc/self/mountinfo':
        '700 690 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n' +
        '701 690 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '50000',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': `${gib / 2}`,
    });
    assert.deepEqual(containerLimits(root), { cpus: 0.5, memory: gib / 2 });
  });

  it('version 1 without limits says so with -1 and an absurd number', (t) => {
    const root = machine(t, {
      'proc/self/cgroup': '9:memory:/\n4:cpu,cpuacct:/\n0::/\n',
      'proc/self/mountinfo':
        '700 690 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n701 690 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
    });
    assert.deepEqual(containerLimits(root), { cpus: null, memory: null });
  });

  it('no control groups, or files that make no sense: no limits', (t) => {
    assert.deepEqual(containerLimits(machine(t, {})), { cpus: null, memory: null });
    const odd = machine(t, {
      'proc/self/cgroup': 'what\n0::/../..\n',
      'proc/self/mountinfo': 'nonsense\n1 2 0:3 / /sys - cgroup2 x rw\n',
      'sys/cpu.max': 'a b c',
      'sys/memory.max': '-5',
    });
    assert.deepEqual(containerLimits(odd), { cpus: null, memory: null });
  });
});

describe('AUTO-02 memory that is left', () => {
  const meminfo = `MemTotal: ${8 * 2 ** 20} kB\nMemFree: 1 kB\nMemAvailable: ${4 * 2 ** 20} kB\n`;
  const group = {
    'proc/self/cgroup': '0::/\n',
    'proc/self/mountinfo': '648 640 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n',
  };

  it('is the least of what the machine has and what each limit leaves; files that can be forgotten count as free', (t) => {
    const root = machine(t, {
      ...group,
      'proc/meminfo': meminfo,
      'sys/fs/cgroup/memory.max': `${2 * gib}`,
      'sys/fs/cgroup/memory.current': `${1.75 * gib}`,
      'sys/fs/cgroup/memory.stat': `anon 1\nactive_file 5\ninactive_file ${gib / 4}\n`,
    });
    assert.equal(availableMemory(root), gib / 2);
  });

  it('is the machine’s where nothing limits, none where too much is used, and unknown where nobody says', (t) => {
    assert.equal(availableMemory(machine(t, { ...group, 'proc/meminfo': meminfo })), 4 * gib);
    const full = { 'sys/fs/cgroup/memory.max': '100', 'sys/fs/cgroup/memory.current': '300' };
    assert.equal(availableMemory(machine(t, { ...group, ...full })), 0);
    assert.equal(availableMemory(machine(t, {})), null);
  });
});

const oomKills = (root: string): OomKills | null => oomCounter(root)?.() ?? null;

describe('WHY-03 the counter of what the kernel killed for lack of memory', () => {
  const version2 = {
    'proc/self/cgroup': '0::/system.slice/shop.service\n',
    'proc/self/mountinfo': '30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
  };

  it('version 2: memory.events of the group itself', (t) => {
    const root = machine(t, {
      ...version2,
      'sys/fs/cgroup/system.slice/memory.events': 'low 0\noom 9\noom_kill 9\n',
      'sys/fs/cgroup/system.slice/shop.service/memory.events':
        'low 0\nhigh 4\nmax 17\noom 3\noom_kill 2\noom_group_kill 0\n',
      'proc/vmstat': 'oom_kill 80\n',
    });
    assert.deepEqual(oomKills(root), { count: 2, of: 'group' });
  });

  it('version 1: memory.oom_control', (t) => {
    const root = machine(t, {
      'proc/self/cgroup': '9:memory:/docker/abc\n0::/\n',
      'proc/self/mountinfo': '701 690 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n',
      'sys/fs/cgroup/memory/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 5\n',
    });
    assert.deepEqual(oomKills(root), { count: 5, of: 'group' });
  });

  it("in no group of its own it is the machine's", (t) => {
    const root = machine(t, {
      'proc/self/cgroup': '0::/\n',
      'proc/self/mountinfo': version2['proc/self/mountinfo'],
      'proc/vmstat': 'nr_free_pages 7\noom_kill 4\n',
    });
    assert.deepEqual(oomKills(root), { count: 4, of: 'machine' });
  });

  it('there may be none', (t) => assert.equal(oomKills(machine(t, { 'proc/vmstat': 'nr_free_pages 7\n' })), null));
});
