import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { DenyEntry } from '../../src/revocation/deny-entries.js'
import { denyList } from '../../src/revocation/deny-list.js'
import { firstDefinite } from '../../src/revocation/first-definite.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { checker } from '../support/checkers.js'
import { noon } from '../support/pki.js'
import { closing, deciding, heardEvents, heardWarnings } from '../support/revocation.js'

const warnings = heardWarnings()
const events = heardEvents()
let pki: TestPki
let alice: TestCredential
let bob: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice' })
  bob = await pki.issue({ subject: 'CN=bob' })
})
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] })
})
afterEach(() => {
  jest.useRealTimers()
})
const settle = () => new Promise((resolve) => setImmediate(resolve))
const pass = async (seconds: number) => {
  await jest.advanceTimersByTimeAsync(seconds * 1000)
  await settle()
}

/** A function that is answered by the test, call by call. */
function asked() {
  const calls: { resolve: (entries: unknown) => void; reject: (error: unknown) => void }[] = []
  const load = () =>
    new Promise<readonly DenyEntry[]>((resolve, reject) => calls.push({ resolve: resolve as never, reject }))
  return { calls, load }
}

function denying(load: () => readonly DenyEntry[] | Promise<readonly DenyEntry[]>, refresh?: number) {
  const list = closing(denyList({ load, ...(refresh === undefined ? {} : { refresh }) }))
  const { verdict, help } = deciding({ trust: pki.trust, revocation: firstDefinite(list, checker('good')) })
  return { list, verdict, help, both: async () => [await verdict(alice), await verdict(bob)] }
}
const failures = () => warnings.filter((text) => text.startsWith('MTLS_DENY_LIST_FAILED'))

describe('denyList({ load })', () => {
  test('whoever asks before it has answered waits for it', async () => {
    const { calls, load } = asked()
    const { list, verdict } = denying(load)
    const waiting = [verdict(alice), verdict(bob), list.ready()]
    calls[0]?.resolve([alice.fingerprint])
    expect(await Promise.all(waiting)).toEqual(['REVOKED', 'accepted', undefined])
  })

  test('a list that is there at once needs no promise', async () => {
    expect(await denying(() => [alice.fingerprint]).both()).toEqual(['REVOKED', 'accepted'])
  })

  test('is asked every minute, or as often as refresh says; what is new counts on the next request', async () => {
    let entries: DenyEntry[] = []
    let count = 0
    const load = async () => {
      count++
      return entries
    }
    const { both, list } = denying(load, 10)
    expect(await both()).toEqual(['accepted', 'accepted'])
    const { generation } = list
    await pass(10)
    expect([count, list.generation]).toEqual([2, generation])
    entries = [bob.fingerprint]
    await pass(10)
    expect(await both()).toEqual(['accepted', 'REVOKED'])
    list.close()
    await pass(100)
    expect(count).toBe(3)
    const byDefault = denying(load)
    await byDefault.both()
    await pass(59)
    expect(count).toBe(4)
    await pass(1)
    expect(count).toBe(5)
  })

  test('one that hangs: requests wait for three seconds and are refused, the sentence says so; then they do not wait', async () => {
    const { load, calls } = asked()
    const { verdict, help, list } = denying(load)
    const first = verdict(alice)
    await pass(2.9)
    expect(await Promise.race([first, settle().then(() => 'waits')])).toBe('waits')
    await pass(0.1)
    expect(await first).toBe('REVOCATION_UNKNOWN')
    expect(await help(bob)).toBe('denyList (load) was not loaded yet: load() has not answered — make load() answer')
    await expect(list.ready()).rejects.toThrow('was not loaded yet')
    await pass(27)
    expect(failures()).toEqual(['MTLS_DENY_LIST_FAILED: load() has not answered within 30 s (the former entries hold)'])
    // What comes late comes nevertheless, as long as nothing newer has.
    calls[0]?.resolve([alice.fingerprint])
    await settle()
    expect([await verdict(alice), await verdict(bob)]).toEqual(['REVOKED', 'accepted'])
  })

  test('one that hangs for ever is called anew, and said each time', async () => {
    const { load, calls } = asked()
    const { verdict } = denying(load)
    await pass(35)
    expect(calls.length).toBe(2)
    await pass(35)
    expect([calls.length, failures().length]).toEqual([3, 2])
    calls[2]?.resolve([alice.fingerprint])
    await settle()
    expect(await verdict(alice)).toBe('REVOKED')
  })

  test('of answers out of order the later question’s counts', async () => {
    const { load, calls } = asked()
    const { both, list } = denying(load)
    calls[0]?.resolve([])
    await settle()
    const [second, third] = [list.reload(), list.reload()]
    calls[2]?.resolve([alice.fingerprint])
    await third
    calls[1]?.resolve([])
    await second
    expect(await both()).toEqual(['REVOKED', 'accepted'])
  })

  test('what was asked for before replace() does not undo it; what is asked for after it does', async () => {
    const { load, calls } = asked()
    const { both, list } = denying(load)
    list.replace([alice.fingerprint])
    calls[0]?.resolve([])
    await settle()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    const reload = list.reload()
    calls[1]?.resolve([bob.fingerprint])
    await reload
    expect(await both()).toEqual(['accepted', 'REVOKED'])
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('the database is down')
      },
    ],
    ['rejects', () => Promise.reject(new Error('the database is down'))],
    [
      'throws undefined',
      () => {
        throw undefined
      },
    ],
    ['rejects with what cannot be printed', () => Promise.reject(Object.create(null))],
    ['returns undefined', () => undefined],
    ['returns null', () => null],
    ['returns a text', () => alice.fingerprint],
    ['returns rows instead of entries', () => [{ id: 1, fingerprint: alice.fingerprint }]],
    ['returns one wrong entry among good ones', () => [alice.fingerprint, 'bob']],
    [
      'returns what throws when it is looked at',
      () => [
        {
          get fingerprint() {
            throw new Error('gone')
          },
        },
      ],
    ],
    ['resolves to a promise of nothing', async () => undefined],
  ])('one that %s admits nobody until it answers, is asked again soon, and its sentence says why', async (_, load) => {
    let current = load
    const { verdict, list, help } = denying((() => current()) as never)
    expect(await verdict(bob)).toBe('REVOCATION_UNKNOWN')
    expect(await help(bob)).toMatch(/^denyList \(load\) was not loaded yet: .+ — make load\(\) answer$/)
    await expect(list.ready()).rejects.toThrow('was not loaded yet: ')
    await expect(list.reload()).rejects.not.toBe(null)
    expect(failures().length).toBe(1)
    expect(events.filter(({ type }) => type === 'deny-list-failed').length).toBe(1)
    current = () => [alice.fingerprint]
    await pass(5)
    expect([await verdict(alice), await verdict(bob)]).toEqual(['REVOKED', 'accepted'])
    await expect(list.ready()).resolves.toBeUndefined()
    // And once it has answered, the former entries hold.
    current = load
    await pass(60)
    expect([await verdict(alice), await verdict(bob)]).toEqual(['REVOKED', 'accepted'])
    expect(failures().length).toBe(2)
    await expect(list.ready()).resolves.toBeUndefined()
  })

  test('close(): no timer is left, and what is answered afterwards comes to nothing', async () => {
    const { load, calls } = asked()
    const { list, verdict } = denying(load)
    const waiting = verdict(alice)
    list.close()
    calls[0]?.resolve([])
    expect(await waiting).toBe('REVOCATION_UNKNOWN')
    expect(jest.getTimerCount()).toBe(0)
    await pass(300)
    expect([calls.length, failures(), events]).toEqual([1, [], []])
  })

  test('close() while it hangs leaves nothing behind after the last deadline, and says nothing', async () => {
    const { load, calls } = asked()
    const { list } = denying(load)
    list.close()
    calls[0]?.reject(new Error('the pool was closed'))
    await pass(60)
    expect([jest.getTimerCount(), calls.length, failures()]).toEqual([0, 1, []])
  })
})
