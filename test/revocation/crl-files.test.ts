import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { crl } from '../../src/revocation/crl-checker.js'
import type { CrlOptions } from '../../src/revocation/crl-options.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { day, fromNoon, hour, minute, noon, temporaryFolder } from '../support/pki.js'
import { closing, deciding, heardEvents, heardWarnings } from '../support/revocation.js'

const at = temporaryFolder()
const warnings = heardWarnings()
const events = heardEvents()
let pki: TestPki
let alice: TestCredential
let bob: TestCredential
let root: string
let folders = 0

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice', notAfter: fromNoon(30 * day) })
  bob = await pki.issue({ subject: 'CN=bob', notAfter: fromNoon(30 * day) })
  root = (await pki.root.crl({ nextUpdate: fromNoon(30 * day) })).pem
})
// The watch looks every two seconds; the tests let the seconds pass at once.
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] })
})
afterEach(() => {
  jest.useRealTimers()
})

const look = () => jest.advanceTimersByTime(2_000)
const nothing = () => crlOf([])
const crlOf = async (revoked: TestCredential[], age = hour) =>
  (await pki.crl({ revoked: revoked.map((serialNumber) => ({ serialNumber })), thisUpdate: fromNoon(-age) })).pem

function folder(): (name: string) => string {
  const path = at(`f${folders++}`)
  mkdirSync(path)
  return (name) => `${path}/${name}`
}

/** A checker of these files, and somebody who asks. */
function watching(options: CrlOptions) {
  const clock = { now: noon.getTime() }
  const checker = closing(crl({ now: () => clock.now, ...options }))
  const { verdict, help } = deciding({ trust: pki.trust, revocation: checker }, clock)
  return { checker, verdict, help, clock, both: async () => [await verdict(alice), await verdict(bob)] }
}

async function watchedFile(content: string) {
  const file = folder()
  writeFileSync(file('ca.crl'), content + root)
  return { file, path: file('ca.crl'), ...watching({ files: file('ca.crl') }) }
}

describe('C-02: a watched file of CRLs', () => {
  test.each<[string, (path: string, content: string) => void]>([
    ['rewritten in place', (path, content) => writeFileSync(path, content)],
    [
      'replaced by rename',
      (path, content) => {
        writeFileSync(`${path}.new`, content)
        renameSync(`${path}.new`, path)
      },
    ],
    [
      'deleted and made again',
      (path, content) => {
        rmSync(path)
        look()
        writeFileSync(path, content)
      },
    ],
  ])('%s takes effect at the next look, for those remembered too', async (_, replace) => {
    const { path, verdict, checker } = await watchedFile(await nothing())
    expect(await verdict(alice)).toBe('accepted')
    const { generation } = checker
    replace(path, (await crlOf([alice])) + root)
    expect(await verdict(alice)).toBe('accepted')
    look()
    expect(checker.generation).toBeGreaterThan(generation)
    expect(await verdict(alice)).toBe('REVOKED')
    expect(await verdict(bob)).toBe('accepted')
  })

  test('written again as it was, it changes nothing', async () => {
    const content = (await nothing()) + root
    const { path, checker } = await watchedFile(await nothing())
    writeFileSync(path, content)
    look()
    const { generation } = checker
    writeFileSync(path, content)
    look()
    expect(checker.generation).toBe(generation)
    expect(events.filter(({ type }) => type === 'crl-loaded').length).toBe(3)
  })

  test.each<[string, (content: string) => string]>([
    ['half written', (content) => content.slice(0, 300)],
    ['emptied', () => ''],
    ['garbage', () => 'x'.repeat(50)],
    ['a certificate', () => pki.trust],
    ['good, and then half of another', (content) => content + content.slice(0, 100)],
  ])('%s: the former CRLs hold, it is said once, and the whole one is read afterwards', async (_, spoil) => {
    const { path, both, checker } = await watchedFile(await crlOf([alice], 2 * hour))
    const { generation } = checker
    const next = (await crlOf([alice, bob])) + root
    writeFileSync(path, spoil(next))
    look()
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    expect(checker.generation).toBe(generation)
    expect(warnings).toEqual([
      expect.stringMatching(/^MTLS_CRL_FAILED: crl: .*ca\.crl.* — .* \(the former CRLs hold until they end\)$/),
    ])
    expect(events.filter(({ type }) => type === 'crl-failed').length).toBe(1)
    await expect(checker.ready()).resolves.toBeUndefined()
    writeFileSync(path, next)
    look()
    expect(await both()).toEqual(['REVOKED', 'REVOKED'])
  })

  test('deleted: the former hold until they end, and then nobody is admitted', async () => {
    const { path, both, clock, help, checker } = await watchedFile(await crlOf([alice]))
    rmSync(path)
    look()
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    expect(warnings).toEqual([expect.stringContaining('(ENOENT)')])
    clock.now += day + 1
    expect(await both()).toEqual(['REVOKED', 'REVOCATION_UNKNOWN'])
    expect(await help(bob)).toMatch(
      /^CRL of "CN=Test Intermediate CA" ended less than a second ago \(2026-11-21T12:00:00Z, .*ca\.crl\) — fix the job/,
    )
    await expect(checker.ready()).rejects.toThrow(/ca\.crl\) has ended/)
  })

  test('what could not be read is read as soon as it can be, although it has not changed', async () => {
    const { path, both } = await watchedFile(await nothing())
    const real = `${path}.real`
    writeFileSync(real, (await crlOf([alice])) + root)
    // A link to a file within a folder that cannot be entered, as far as this process can tell: a file is in its place.
    rmSync(path)
    symlinkSync(`${path}.folder/ca.crl`, path)
    look()
    expect(await both()).toEqual(['accepted', 'accepted'])
    expect(warnings.length).toBe(1)
    mkdirSync(`${path}.folder`)
    renameSync(real, `${path}.folder/ca.crl`)
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
  })

  const unlessRoot = process.getuid?.() === 0 ? test.skip : test
  unlessRoot('permission lost and given back: the former hold, and the new one is read, without a change', async () => {
    const { path, both } = await watchedFile(await nothing())
    writeFileSync(`${path}.new`, (await crlOf([alice])) + root, { mode: 0 })
    renameSync(`${path}.new`, path)
    look()
    expect(await both()).toEqual(['accepted', 'accepted'])
    expect(warnings).toEqual([expect.stringMatching(/\(EACCES\) — let the user this process runs as read it/)])
    chmodSync(path, 0o600)
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
  })

  test('R-15: rolled back to an older CRL, it does not unsay a revocation', async () => {
    const old = await crlOf([], 3 * hour)
    const { path, both } = await watchedFile(old)
    expect(await both()).toEqual(['accepted', 'accepted'])
    writeFileSync(path, (await crlOf([alice])) + root)
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    writeFileSync(path, old + root)
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    rmSync(path)
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
  })

  test('R-15: rolled back before anybody asked, it does not either', async () => {
    const { path, both } = await watchedFile(await crlOf([alice]))
    writeFileSync(path, (await crlOf([], 3 * hour)) + root)
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
  })

  test('a newer CRL that lists somebody no more lets them in again', async () => {
    const { path, both } = await watchedFile(await crlOf([alice], 2 * hour))
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    writeFileSync(path, (await nothing()) + root)
    look()
    expect(await both()).toEqual(['accepted', 'accepted'])
  })

  test('R-16: one that was changed on the disk is believed by nobody, and replaces nothing', async () => {
    const { path, both, help } = await watchedFile(await crlOf([alice], 2 * hour))
    const forger = await createTestPki({ now: noon })
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    writeFileSync(path, (await pki.crl({ signWith: forger.intermediate })).pem + root)
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    // Where there was nothing before it, it is as good as nothing.
    const fresh = await watchedFile((await pki.crl({ signWith: forger.intermediate })).pem)
    expect(await fresh.both()).toEqual(['REVOCATION_UNKNOWN', 'REVOCATION_UNKNOWN'])
    expect(await fresh.help(bob)).toContain('is signed by no certificate of that name under this trust anchor')
    expect(await help(bob)).toBe('accepted')
  })

  test('watch: false reads once', async () => {
    const file = folder()
    writeFileSync(file('ca.crl'), (await nothing()) + root)
    const timers = jest.getTimerCount()
    const { verdict } = watching({ files: file('ca.crl'), watch: false })
    // What is left tells when a CRL ends.
    expect(jest.getTimerCount()).toBe(timers + 1)
    writeFileSync(file('ca.crl'), (await crlOf([alice])) + root)
    look()
    expect(await verdict(alice)).toBe('accepted')
  })

  test('close() leaves no timer behind, and refuses whoever asks, remembered or not', async () => {
    const { path, checker, verdict, help } = await watchedFile(await nothing())
    expect(await verdict(alice)).toBe('accepted')
    checker.close?.()
    expect(jest.getTimerCount()).toBe(0)
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    expect(await help(bob)).toBe(`crl (${path}) was closed — make another one`)
    await expect(checker.ready?.()).rejects.toThrow('was closed')
    writeFileSync(path, 'garbage')
    look()
    expect(warnings).toEqual([])
  })
})

describe('a large file that changes while it is being read', () => {
  const many = Array.from({ length: 2_500 }, (_, i) => ({ serialNumber: `5${String(i).padStart(31, '0')}` }))
  const largeOf = async (revoked: TestCredential[], age: number) => {
    const all = [...many, ...revoked.map((serialNumber) => ({ serialNumber }))]
    return (await pki.crl({ revoked: all, thisUpdate: fromNoon(-age) })).pem
  }
  const read = () => events.filter(({ type }) => type === 'crl-loaded').length

  test.each<[string, () => Promise<string>]>([
    ['another large one', () => largeOf([alice, bob], minute)],
    ['a small one', () => crlOf([alice, bob], minute)],
  ])('is read again afterwards: what counts is the last, %s', async (_, last) => {
    const [first, second, third] = [await largeOf([], 3 * hour), await largeOf([alice], 2 * hour), await last()]
    const { path, both } = await watchedFile(first)
    expect(await both()).toEqual(['accepted', 'accepted'])
    expect(read()).toBe(1)
    writeFileSync(path, second + root)
    look()
    writeFileSync(path, third + root)
    look()
    // The second is on its way, and nothing of either counts yet.
    expect(read()).toBe(1)
    while (read() < 3) await new Promise((resolve) => setImmediate(resolve))
    expect(await both()).toEqual(['REVOKED', 'REVOKED'])
    for (let i = 0; i < 500; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(read()).toBe(3)
  })

  test('is spoilt: the former hold, and close() in the middle ends it', async () => {
    const { path, both, checker } = await watchedFile(await largeOf([alice], 3 * hour))
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    writeFileSync(path, (await largeOf([bob], 2 * hour)) + root)
    look()
    writeFileSync(path, 'garbage')
    look()
    while (warnings.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(await both()).toEqual(['accepted', 'REVOKED'])
    writeFileSync(path, (await largeOf([alice, bob], hour)) + root)
    look()
    checker.close()
    for (let i = 0; i < 500; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(read()).toBe(2)
  })
})

describe('C-02: a watched directory of CRLs', () => {
  test('as Kubernetes mounts it: the ..data link flips, and all CRLs are exchanged at once', async () => {
    const file = folder()
    for (const [version, content] of [
      ['..2026_1', await nothing()],
      ['..2026_2', await crlOf([bob], minute)],
    ] as const) {
      mkdirSync(file(version))
      writeFileSync(file(`${version}/issuing.crl`), content)
      writeFileSync(file(`${version}/root.pem`), root)
    }
    symlinkSync('..2026_1', file('..data'))
    for (const name of ['issuing.crl', 'root.pem']) symlinkSync(`..data/${name}`, file(name))
    const { both } = watching({ directory: file('') })
    expect(await both()).toEqual(['accepted', 'accepted'])
    symlinkSync('..2026_2', file('..data_tmp'))
    renameSync(file('..data_tmp'), file('..data'))
    rmSync(file('..2026_1'), { recursive: true })
    look()
    expect(await both()).toEqual(['accepted', 'REVOKED'])
  })

  test('a file that comes counts; one that is spoilt keeps all as they were; none at all is said', async () => {
    const file = folder()
    writeFileSync(file('root.crl'), root)
    const { both, help } = watching({ directory: file('') })
    expect(await both()).toEqual(['REVOCATION_UNKNOWN', 'REVOCATION_UNKNOWN'])
    expect(await help(bob)).toBe(
      'no CRL of "CN=Test Intermediate CA" for client "CN=bob" — add the CRL of "CN=Test Intermediate CA"',
    )
    writeFileSync(file('issuing.crl'), await crlOf([alice]))
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    writeFileSync(file('z.crl'), 'garbage')
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    for (const name of ['root.crl', 'issuing.crl', 'z.crl']) rmSync(file(name))
    look()
    expect(await both()).toEqual(['REVOKED', 'accepted'])
    expect(warnings.at(-1)).toContain('holds no .crl, .pem, .der file — put the CRLs there')
  })
})
