import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import type { DenyEntry } from '../../src/revocation/deny-entries.js'
import { type DenyListOptions, denyList } from '../../src/revocation/deny-list.js'
import { firstDefinite } from '../../src/revocation/first-definite.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { checker } from '../support/checkers.js'
import { noon, temporaryFolder, thrownBy } from '../support/pki.js'
import { closing, deciding, heardEvents, heardWarnings } from '../support/revocation.js'

const at = temporaryFolder()
const warnings = heardWarnings()
const events = heardEvents()
let pki: TestPki
let alice: TestCredential
let bob: TestCredential
let files = 0

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice' })
  bob = await pki.issue({ subject: 'CN=bob' })
})
// The watch looks every two seconds; the tests let the seconds pass at once.
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] })
})
afterEach(() => {
  jest.useRealTimers()
})
const look = () => jest.advanceTimersByTime(2_000)
/** Lets promises that have settled be heard. */
const settle = () => new Promise((resolve) => setImmediate(resolve))

function file(content: string): string {
  const path = at(`${files++}.txt`)
  writeFileSync(path, content)
  return path
}

function denying(options: DenyListOptions) {
  const list = closing(denyList(options))
  const { verdict, help } = deciding({ trust: pki.trust, revocation: firstDefinite(list, checker('good')) })
  return { list, verdict, help, both: async () => [await verdict(alice), await verdict(bob)] }
}
const nobody = ['accepted', 'accepted']
const listed = ['REVOKED', 'accepted']

describe('denyList({ entries })', () => {
  test('denies by fingerprint, and by issuer and serial number; everybody else passes', async () => {
    const pair = { issuer: 'CN=Test Intermediate CA', serialNumber: bob.serialNumber }
    const { both, help } = denying({ entries: [alice.fingerprint.toUpperCase(), pair] })
    expect(await both()).toEqual(['REVOKED', 'REVOKED'])
    expect(await help(alice)).toBe('"CN=alice" was revoked ("denied") — issue a new certificate with a new key')
    expect(await denying({ entries: [] }).both()).toEqual(nobody)
  })

  test('R-11: the serial number alone is nobody: the same one of another issuer passes', async () => {
    const other = await createTestPki({ now: noon, name: 'Other' })
    const namesake = await other.issue({ serialNumber: alice.serialNumber })
    const list = denyList({ entries: [{ issuer: 'CN=Test Intermediate CA', serialNumber: alice.serialNumber }] })
    const { verdict } = deciding({ trust: [pki.trust, other.trust], revocation: firstDefinite(list, checker('good')) })
    expect([await verdict(alice), await verdict(namesake)]).toEqual(listed)
  })

  test('an intermediate that is denied denies everybody below it', async () => {
    const { serialNumber, certificate } = pki.intermediate
    for (const entry of [
      { issuer: 'CN=Test Root CA', serialNumber },
      { fingerprint: (await import('node:crypto')).hash('sha256', certificate.der, 'hex') },
    ]) {
      expect(await denying({ entries: [entry] }).both()).toEqual(['REVOKED', 'REVOKED'])
    }
  })

  test('a pinned client is denied, too, also where the list stands alone', async () => {
    const trust = { pinned: alice.certificate.pem + bob.certificate.pem }
    for (const entry of [alice.fingerprint, { issuer: 'CN=Test Intermediate CA', serialNumber: alice.serialNumber }]) {
      const { verdict } = deciding({ trust, revocation: denyList({ entries: [entry] }) })
      expect([await verdict(alice), await verdict(bob)]).toEqual(listed)
    }
  })

  test('replace() takes effect on the next request, for those remembered too, and lets in again who is listed no more', async () => {
    const { list, both } = denying({ entries: [] })
    expect(await both()).toEqual(nobody)
    list.replace([alice.fingerprint])
    expect(await both()).toEqual(listed)
    list.replace([bob.fingerprint])
    expect(await both()).toEqual(['accepted', 'REVOKED'])
    list.replace([])
    expect(await both()).toEqual(nobody)
  })

  test('replace() with one wrong entry throws, and changes nothing', async () => {
    const { list, both } = denying({ entries: [alice.fingerprint] })
    const { generation } = list
    expect(thrownBy(() => list.replace([bob.fingerprint, 'bob']))).toContain('denyList: entry 2: "bob" is not SHA-256')
    expect(thrownBy(() => list.replace(undefined as never))).toContain('is no list of entries')
    expect(list.generation).toBe(generation)
    expect(await both()).toEqual(listed)
  })

  test('the same entries again are no news; a list that is changed afterwards is not read again', async () => {
    const entries: DenyEntry[] = [alice.fingerprint]
    const { list, both } = denying({ entries })
    const { generation } = list
    list.replace([{ fingerprint: alice.fingerprint }])
    expect(list.generation).toBe(generation)
    entries.length = 0
    expect(await both()).toEqual(listed)
    await expect(list.reload()).resolves.toBeUndefined()
    expect(await both()).toEqual(listed)
  })

  test('what happens while a request is decided about counts', async () => {
    const list = closing(denyList({ entries: [] }))
    const slow = checker(() => 'good')
    const revocation = firstDefinite(list, slow)
    slow.behaviour = () => {
      list.replace([alice.fingerprint])
      return 'good'
    }
    expect(await deciding({ trust: pki.trust, revocation }).verdict(alice)).toBe('REVOKED')
  })

  test('close(): everybody is unknown from then on, remembered or not', async () => {
    const { list, verdict, help } = denying({ entries: [] })
    expect(await verdict(alice)).toBe('accepted')
    list.close()
    list.close()
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    expect(await help(bob)).toBe('denyList (entries) was closed — make another one')
    await expect(list.ready()).rejects.toThrow('was closed')
    await expect(list.reload()).rejects.toThrow('was closed')
  })

  test('two authenticators share one', async () => {
    const list = closing(denyList({ entries: [] }))
    const revocation = firstDefinite(list, checker('good'))
    const [first, second] = [0, 1].map(() => deciding({ trust: pki.trust, revocation }))
    expect([await first?.verdict(alice), await second?.verdict(alice)]).toEqual(nobody)
    list.replace([alice.fingerprint])
    expect([await first?.verdict(alice), await second?.verdict(alice)]).toEqual(['REVOKED', 'REVOKED'])
    await first?.auth.close()
    list.replace([])
    expect(await second?.verdict(alice)).toBe('accepted')
  })
})

describe('denyList({ file })', () => {
  test('is read at start and watched; what it says counts within two seconds', async () => {
    const path = file(`# nobody yet\n`)
    const { both } = denying({ file: path })
    expect(await both()).toEqual(nobody)
    writeFileSync(path, `${alice.fingerprint}\n`)
    look()
    expect(await both()).toEqual(listed)
    writeFileSync(`${path}.new`, `${bob.serialNumber} CN=Test Intermediate CA\n`)
    renameSync(`${path}.new`, path)
    look()
    expect(await both()).toEqual(['accepted', 'REVOKED'])
    expect(events.map((event) => event.type === 'deny-list-loaded' && event.entries)).toEqual([0, 1, 1])
  })

  test.each<[string, string, RegExp]>([
    ['emptied', '', /is empty — to deny nobody, write a line that begins with #/],
    ['with a line that was cut', `${'AB'.repeat(32)}\n${'CD'.repeat(20)}`, /line 2: ".*" is SHA-1/],
    ['with one wrong line', `${'AB'.repeat(32)}\nbob\n`, /line 2: "bob" is not SHA-256/],
  ])('%s, the former entries hold, it is said once, and the whole one is read afterwards', async (_, content, says) => {
    const path = file(alice.fingerprint)
    const { both, list } = denying({ file: path })
    const { generation } = list
    writeFileSync(path, content)
    look()
    look()
    expect(await both()).toEqual(listed)
    expect(list.generation).toBe(generation)
    expect(warnings).toEqual([expect.stringMatching(says)])
    expect(warnings[0]).toMatch(/^MTLS_DENY_LIST_FAILED: denyList: .*\.txt: .*\(the former entries hold\)$/)
    expect(events.filter(({ type }) => type === 'deny-list-failed').length).toBe(1)
    await expect(list.reload()).rejects.toThrow(says)
    await expect(list.ready()).resolves.toBeUndefined()
    writeFileSync(path, bob.fingerprint)
    look()
    expect(await both()).toEqual(['accepted', 'REVOKED'])
  })

  test('deleted, the former entries hold; what comes in its place, be it late, is read', async () => {
    const path = file(alice.fingerprint)
    const { both } = denying({ file: path })
    rmSync(path)
    for (let i = 0; i < 5; i++) look()
    expect(await both()).toEqual(listed)
    expect(warnings).toEqual([expect.stringContaining('(ENOENT)')])
    symlinkSync(`${path}.later`, path)
    look()
    writeFileSync(`${path}.later`, bob.fingerprint)
    look()
    expect(await both()).toEqual(['accepted', 'REVOKED'])
  })

  test('watch: false reads once, and again on reload()', async () => {
    const path = file('# nobody\n')
    const { list, both } = denying({ file: path, watch: false })
    expect(jest.getTimerCount()).toBe(0)
    writeFileSync(path, alice.fingerprint)
    look()
    expect(await both()).toEqual(nobody)
    await list.reload()
    expect(await both()).toEqual(listed)
  })

  test('close() stops the watch', () => {
    const { list } = denying({ file: file('# nobody\n') })
    expect(jest.getTimerCount()).toBe(1)
    list.close()
    expect(jest.getTimerCount()).toBe(0)
  })

  test('a file that is not there, is none, is wrong, or too large, throws at start and leaves no timer', () => {
    const tooLarge = file('')
    writeFileSync(tooLarge, Buffer.alloc(limits.denyListBytes + 1, '\n'))
    for (const [path, says] of [
      [at('none.txt'), 'denyList: cannot read '],
      [at(), 'is a directory'],
      [file(''), 'is empty'],
      [file('bob'), 'line 1: "bob" is not SHA-256'],
      [tooLarge, `has ${limits.denyListBytes + 1} octets, the limit is ${limits.denyListBytes}`],
    ] as const) {
      expect(thrownBy(() => denyList({ file: path }))).toContain(says)
    }
    expect(jest.getTimerCount()).toBe(0)
    writeFileSync(tooLarge, Buffer.alloc(limits.denyListBytes, '\n'))
    expect(() => denying({ file: tooLarge })).not.toThrow()
  })
})

describe('denyList(): what may be written', () => {
  const load = () => []
  test.each<{ name: string; given: unknown; says: string }>([
    { name: 'nothing', given: undefined, says: "expected options — denyList({ file: './denied.txt' })" },
    { name: 'a path', given: './denied.txt', says: 'expected options' },
    { name: 'no source', given: {}, says: 'takes exactly one of file, entries and load' },
    { name: 'two sources', given: { entries: [], load }, says: 'takes exactly one of' },
    {
      name: 'a file from a variable that is not set',
      given: { file: undefined, entries: [] },
      says: 'file is undefined',
    },
    { name: 'entries: undefined', given: { entries: undefined }, says: 'entries is undefined' },
    { name: 'a misspelt option', given: { entrys: [] }, says: 'unknown option "entrys". Did you mean "entries"' },
    { name: 'an empty path', given: { file: '' }, says: 'file is not a path' },
    { name: 'a list of paths', given: { file: ['a'] }, says: 'file is not a path' },
    { name: 'load: a list', given: { load: [] }, says: 'load is not a function' },
    { name: 'entries: a text', given: { entries: 'AB' }, says: 'is no list of entries' },
    { name: 'refresh without load', given: { entries: [], refresh: 60 }, says: 'refresh is for load' },
    { name: 'watch without a file', given: { entries: [], watch: true }, says: 'watch is for a file' },
    { name: 'watch: 1', given: { file: 'x', watch: 1 }, says: 'watch is true or false' },
    { name: 'refresh: 0', given: { load, refresh: 0 }, says: 'from 1 to 86400, got 0' },
    { name: 'half a second', given: { load, refresh: 0.5 }, says: 'got 0.5' },
    { name: 'more than a timer counts to', given: { load, refresh: 86_401 }, says: 'got 86401' },
    { name: 'refresh as text', given: { load, refresh: '60' }, says: 'got 60' },
    { name: 'refresh: NaN', given: { load, refresh: Number.NaN }, says: 'got NaN' },
  ])('$name is refused', ({ given, says }) => {
    const message = thrownBy(() => denyList(given as DenyListOptions))
    expect(message).toMatch(/^ClientCertConfigError: denyList: /)
    expect(message).toContain(says)
    expect(jest.getTimerCount()).toBe(0)
  })

  test('R-08: alone it says good of everybody it does not list, and says so by its type', async () => {
    const list = closing(denyList({ entries: [alice.fingerprint] }))
    expect([list.onlyRevokes, list.name]).toEqual([true, 'denyList (entries)'])
    const { verdict } = deciding({ trust: pki.trust, revocation: list })
    expect([await verdict(alice), await verdict(bob)]).toEqual(listed)
    await settle()
  })
})
