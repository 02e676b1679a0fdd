/** C-02: what happens to the sources of trust while the service runs: kept, told, aged, and never mixed. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createAuthenticator } from '../../src/core/authenticator.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { type ReloadEvent, TrustStore } from '../../src/trust/trust-store.js'
import { noon, temporaryFolder, thrownBy } from '../support/pki.js'

const at = temporaryFolder()
let old: TestPki
let young: TestPki
let alice: TestCredential
beforeAll(async () => {
  old = await createTestPki({ name: 'Old', now: noon })
  young = await createTestPki({ name: 'New', now: noon })
  alice = await old.issue()
})

let warnings: string[] = []
let events: ReloadEvent[] = []
const hear = (event: unknown) => events.push(event as ReloadEvent)
beforeEach(() => {
  warnings = []
  events = []
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] })
  jest.spyOn(process, 'emitWarning').mockImplementation((_, options) => {
    warnings.push((options as { code: string }).code)
  })
  subscribe('mtls-identity:reload', hear)
})
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
  unsubscribe('mtls-identity:reload', hear)
  jest.useRealTimers()
  jest.restoreAllMocks()
})

let folders = 0
function folder(): (name: string) => string {
  const path = at(`hot${folders++}`)
  mkdirSync(path)
  return (name) => `${path}/${name}`
}

const look = () => jest.advanceTimersByTime(2_000)
const hour = 3_600_000
const subjects = (store: TrustStore) => store.current().anchors.map(({ certificate }) => `${certificate.subject}`)

/** The verdict about a client of the old CA, whose chain is whole. */
function asking(trust: TrustStore | string, options: { maxStaleness?: number } = {}) {
  const auth = createAuthenticator({ trust, revocation: 'none', log: false, now: () => noon.getTime(), ...options })
  open.push(auth)
  const intermediates = alice.chain.map(({ der }) => der)
  return async () => {
    const decision = await auth.authenticateChain({ certificate: alice.certificate.der, intermediates, via: 'tls' })
    return decision.outcome === 'accepted' ? 'accepted' : `${decision.error.status} ${decision.error.code}`
  }
}

const notReady = '503 ERR_CLIENT_CERT_NOT_READY'

const misfortunes: [string, (path: string) => unknown][] = [
  ['half written', (path) => writeFileSync(path, young.trust.slice(0, 300))],
  ['deleted', (path) => rmSync(path)],
  ['emptied', (path) => writeFileSync(path, '')],
  ['replaced by a directory', (path) => [rmSync(path), mkdirSync(path)]],
]
// Who may read everything cannot lose the permission to.
if (process.getuid?.() !== 0) misfortunes.push(['taken the permission to be read', (path) => chmodSync(path, 0)])

describe.each(misfortunes)('a file that was %s', (_, happen) => {
  const make = (maxStaleness?: number, watch = true) => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.trust)
    const store = TrustStore.load(path, maxStaleness === undefined ? { watch } : { watch, maxStaleness })
    open.push(store)
    return { path, store, ask: asking(store) }
  }

  test('keeps the last good one, is said once, and refuses when that is older than maxStaleness', async () => {
    const { path, store, ask } = make(10_000)
    happen(path)
    look()
    expect(await ask()).toBe('accepted')
    expect(events).toEqual([{ kind: 'trust', ok: false, error: expect.any(Error), source: path, stale: false }])
    look()
    look()
    expect([events.length, warnings]).toEqual([1, ['MTLS_RELOAD_FAILED']])
    jest.advanceTimersByTime(5_999)
    expect(await ask()).toBe('accepted')
    jest.advanceTimersByTime(1)
    expect(await ask()).toBe(notReady)
    expect(warnings).toEqual(['MTLS_RELOAD_FAILED', 'MTLS_TRUST_STALE'])
    expect(events[1]).toMatchObject({ ok: false, stale: true })
    await expect(store.ready()).rejects.toThrow('are older than maxStaleness')
  })

  test('is believed again as soon as it can be read, also after it has aged', async () => {
    const { path, store, ask } = make(10_000)
    happen(path)
    jest.advanceTimersByTime(20_000)
    expect(await ask()).toBe(notReady)
    rmSync(path, { recursive: true, force: true })
    writeFileSync(path, old.trust)
    look()
    expect(await ask()).toBe('accepted')
    expect(events.at(-1)).toMatchObject({ ok: true, stale: false })
    await store.ready()
    // Its age begins anew.
    happen(path)
    look()
    jest.advanceTimersByTime(9_000)
    expect(await ask()).toBe('accepted')
    jest.advanceTimersByTime(2_000)
    expect(await ask()).toBe(notReady)
  })

  test('ages for a day where nothing else is said, and for ever where that is said', async () => {
    // Not watched: a day of looking every two seconds takes its time, even where it is not a real one.
    const usual = make(undefined, false)
    const patient = make(Number.POSITIVE_INFINITY, false)
    for (const { path, store } of [usual, patient]) {
      happen(path)
      expect(store.reload().ok).toBe(false)
    }
    jest.advanceTimersByTime(24 * hour - 1)
    expect([await usual.ask(), await patient.ask()]).toEqual(['accepted', 'accepted'])
    jest.advanceTimersByTime(1)
    expect([await usual.ask(), await patient.ask()]).toEqual([notReady, 'accepted'])
  })
})

test('maxStaleness is an option of the authenticator for what it reads by path', async () => {
  const path = folder()('ca.pem')
  writeFileSync(path, old.trust)
  const ask = asking(path, { maxStaleness: 5_000 })
  rmSync(path)
  look()
  expect(await ask()).toBe('accepted')
  jest.advanceTimersByTime(5_000)
  expect(await ask()).toBe(notReady)
})

test('a maxStaleness that is none is refused', () => {
  for (const wrong of [0, -1, 999, 1.5, Number.NaN, 2 ** 31, '1d', null]) {
    expect(thrownBy(() => TrustStore.load('x', { maxStaleness: wrong as number }))).toMatch(
      /maxStaleness|cannot read x/,
    )
  }
  const path = folder()('ca.pem')
  writeFileSync(path, old.trust)
  expect(thrownBy(() => TrustStore.load(path, { maxStaleness: 999 }))).toMatch(/expected milliseconds from 1000/)
  expect(thrownBy(() => TrustStore.load(path, { maxAge: 5 } as never))).toMatch(/unknown option "maxAge"/)
})

test('a file that was only touched changes nothing that was remembered', () => {
  const path = folder()('ca.pem')
  writeFileSync(path, old.trust)
  const store = TrustStore.load(path)
  open.push(store)
  const before = store.current()
  writeFileSync(path, `# renewed by nobody\n${old.trust}`)
  look()
  expect(events).toMatchObject([{ ok: true, generation: before.generation }])
  expect(store.current()).toBe(before)
})

test('two files that are flipped between being read are not mixed', () => {
  const file = folder()
  const versions = { v1: old, v2: young }
  for (const [version, pki] of Object.entries(versions)) {
    mkdirSync(file(version))
    writeFileSync(file(`${version}/a.pem`), pki.root.certificate.pem)
    writeFileSync(file(`${version}/b.pem`), pki.intermediate.certificate.pem)
  }
  symlinkSync('v1', file('..data'))
  for (const name of ['a.pem', 'b.pem']) symlinkSync(`..data/${name}`, file(name))
  // The link is flipped after the first file was read, as a kubelet may do it.
  const flip = () => {
    symlinkSync('v2', file('..tmp'))
    renameSync(file('..tmp'), file('..data'))
  }
  let reads = 0
  const one = (name: string) => {
    const read = TrustStore.load(file(name), { watch: false }).current().anchors
    if (++reads === 1) flip()
    return read
  }
  const { TrustSnapshot } = jest.requireActual<typeof import('../../src/trust/trust-snapshot.js')>(
    '../../src/trust/trust-snapshot.js',
  )
  const load = () => new TrustSnapshot([...one('a.pem'), ...one('b.pem')])
  const store = TrustStore.assemble({ label: 'mount', load, files: [file('')] })
  open.push(store)
  expect(subjects(store)).toEqual(['CN=New Root CA', 'CN=New Intermediate CA'])
  expect(reads).toBe(4)
})

test('files that never come to rest are not read', () => {
  const file = folder()
  writeFileSync(file('ca.pem'), old.trust)
  let writes = 0
  const load = () => {
    const snapshot = TrustStore.load(file('ca.pem'), { watch: false }).current()
    writeFileSync(file('ca.pem'), `# ${writes++}\n${old.trust}`)
    return snapshot
  }
  expect(thrownBy(() => TrustStore.assemble({ label: 'x', load, files: [file('ca.pem')] }))).toMatch(
    /changes while it is read — write a new file, and rename it/,
  )
})
