import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createAuthenticator } from '../../src/core/authenticator.js'
import { createTestAuthority, type TestAuthority } from '../../src/testing.js'
import { resolveTrust } from '../../src/trust/trust-option.js'
import { TrustSnapshot } from '../../src/trust/trust-snapshot.js'
import { type ReloadResult, TrustStore } from '../../src/trust/trust-store.js'
import { noon, temporaryFolder, thrownBy } from '../support/pki.js'

const at = temporaryFolder()
let old: TestAuthority
let young: TestAuthority
let folders = 0
let open: TrustStore[] = []

beforeAll(async () => {
  old = await createTestAuthority({ now: noon, subject: 'CN=Old Root' })
  young = await createTestAuthority({ now: noon, subject: 'CN=New Root' })
})
// The watch looks every two seconds; the tests let the seconds pass at once.
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] })
})
afterEach(() => {
  for (const store of open) store.close()
  open = []
  jest.useRealTimers()
})

const interval = 2_000
const look = () => jest.advanceTimersByTime(interval)
const subjects = (store: TrustStore) => store.current().anchors.map(({ certificate }) => `${certificate.subject}`)

function folder(): (name: string) => string {
  const path = at(`f${folders++}`)
  mkdirSync(path)
  return (name) => `${path}/${name}`
}

function watched(path: string): { store: TrustStore; heard: ReloadResult[] } {
  const store = TrustStore.load(path)
  open.push(store)
  const heard: ReloadResult[] = []
  store.onReload((result) => heard.push(result))
  return { store, heard }
}

describe('C-02: a watched file', () => {
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
  ])('%s is read within two seconds', (_, replace) => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    const { store } = watched(path)
    const before = store.current()
    look()
    expect(store.current()).toBe(before)
    replace(path, young.certificate.pem)
    expect(store.current()).toBe(before)
    look()
    expect(subjects(store)).toEqual(['CN=New Root'])
    expect(store.current().generation).toBeGreaterThan(before.generation)
    // Who took the snapshot before still sees it whole.
    expect(before.anchors.length).toBe(1)
    expect(`${before.anchors[0]?.certificate.subject}`).toBe('CN=Old Root')
  })

  test('half written keeps the last good one, says why, and the whole one is read afterwards', () => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    const { store, heard } = watched(path)
    const before = store.current()
    writeFileSync(path, young.certificate.pem.slice(0, 300))
    look()
    expect(store.current()).toBe(before)
    expect(heard.length).toBe(1)
    expect(heard[0]?.ok === false && heard[0].error.message).toMatch(/ca\.pem: line 1: CERTIFICATE is cut off/)
    look()
    expect(heard.length).toBe(1)
    writeFileSync(path, young.certificate.pem)
    look()
    expect(subjects(store)).toEqual(['CN=New Root'])
    expect(heard[1]).toEqual({ ok: true, generation: store.current().generation, anchorCount: 1 })
  })

  test('emptied, or one bad block among good ones, keeps the last good one whole', () => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    const { store, heard } = watched(path)
    for (const content of ['', young.certificate.pem + young.key.pem, 'x'.repeat(10)]) {
      writeFileSync(path, content)
      look()
      expect(subjects(store)).toEqual(['CN=Old Root'])
    }
    expect(heard.map(({ ok }) => ok)).toEqual([false, false, false])
  })

  test('deleted keeps the last good one', () => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    const { store, heard } = watched(path)
    rmSync(path)
    look()
    expect(subjects(store)).toEqual(['CN=Old Root'])
    expect(heard[0]?.ok === false && heard[0].error.message).toMatch(/ENOENT/)
  })

  test('replaced between being read and being watched is not missed', () => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    let loads = 0
    const load = () => {
      const snapshot = TrustStore.load(path, { watch: false }).current()
      if (loads++ === 0) writeFileSync(path, young.certificate.pem + old.certificate.pem)
      return snapshot
    }
    const store = TrustStore.assemble({ label: 'ca', load, files: [path] })
    open.push(store)
    look()
    expect(subjects(store)).toEqual(['CN=New Root', 'CN=Old Root'])
  })

  test('watch: false reads once; reload() reads again when asked', () => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    const store = TrustStore.load(path, { watch: false })
    writeFileSync(path, young.certificate.pem)
    look()
    expect(subjects(store)).toEqual(['CN=Old Root'])
    expect(store.reload().ok).toBe(true)
    expect(subjects(store)).toEqual(['CN=New Root'])
  })

  test('close() stops the watch, and no timer is left', () => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    const { store } = watched(path)
    expect(jest.getTimerCount()).toBe(1)
    store.close()
    expect(jest.getTimerCount()).toBe(0)
    writeFileSync(path, young.certificate.pem)
    look()
    expect(subjects(store)).toEqual(['CN=Old Root'])
  })

  test('a store that cannot be made leaves no timer behind', () => {
    const path = folder()('ca.pem')
    writeFileSync(path, 'garbage')
    expect(thrownBy(() => TrustStore.load(path))).toMatch(/outside of a block/)
    expect(jest.getTimerCount()).toBe(0)
  })
})

describe('C-02: a watched directory', () => {
  test('as Kubernetes mounts it: the ..data link flips, and everything is read at once', () => {
    const file = folder()
    for (const [version, { certificate }] of [
      ['..2026_1', old],
      ['..2026_2', young],
    ] as const) {
      mkdirSync(file(version))
      writeFileSync(file(`${version}/ca.pem`), certificate.pem)
    }
    symlinkSync('..2026_1', file('..data'))
    symlinkSync('..data/ca.pem', file('ca.pem'))
    const byFile = watched(file('ca.pem')).store
    const byDirectory = watched(file('')).store
    expect([subjects(byFile), subjects(byDirectory)]).toEqual([['CN=Old Root'], ['CN=Old Root']])
    symlinkSync('..2026_2', file('..data_tmp'))
    renameSync(file('..data_tmp'), file('..data'))
    rmSync(file('..2026_1'), { recursive: true })
    look()
    expect([subjects(byFile), subjects(byDirectory)]).toEqual([['CN=New Root'], ['CN=New Root']])
  })

  test('a file that comes is added, one that goes is no longer trusted', () => {
    const file = folder()
    writeFileSync(file('a.pem'), old.certificate.pem)
    const { store } = watched(file(''))
    writeFileSync(file('b.pem'), young.certificate.pem)
    look()
    expect(subjects(store)).toEqual(['CN=Old Root', 'CN=New Root'])
    rmSync(file('a.pem'))
    look()
    expect(subjects(store)).toEqual(['CN=New Root'])
    rmSync(file('b.pem'))
    look()
    expect(subjects(store)).toEqual(['CN=New Root'])
  })
})

describe('who hears of a reload', () => {
  test('a listener that throws keeps nobody else from hearing, and the new certificates are in force', () => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    const { store } = watched(path)
    store.onReload(() => {
      throw new Error('a listener of the application')
    })
    const outer = resolveTrust('trust', [store], false)
    open.push(outer)
    writeFileSync(path, young.certificate.pem)
    expect(look).not.toThrow()
    expect(subjects(store)).toEqual(['CN=New Root'])
    expect(subjects(outer)).toEqual(['CN=New Root'])
  })

  test('a listener that was taken away hears nothing', () => {
    const store = TrustStore.parse(old.certificate.pem)
    let heard = 0
    const stop = store.onReload(() => heard++)
    store.reload()
    stop()
    store.reload()
    expect(heard).toBe(1)
  })

  test('a store within a store: the outer one follows the inner one, also through named sets, and stops with close()', () => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    const { store } = watched(path)
    const outer = resolveTrust('trust', { partners: [store] }, false)
    open.push(outer)
    writeFileSync(path, young.certificate.pem)
    look()
    expect(subjects(outer)).toEqual(['CN=New Root'])
    expect(outer.current().anchors[0]?.name).toBe('partners')
    outer.close()
    writeFileSync(path, old.certificate.pem)
    look()
    expect(subjects(store)).toEqual(['CN=Old Root'])
    expect(subjects(outer)).toEqual(['CN=New Root'])
  })
})

describe('an authenticator over a watched file', () => {
  const chainOf = async (authority: TestAuthority) => {
    const { certificate } = await authority.issue()
    return { certificate: certificate.der, intermediates: [], via: 'tls' as const }
  }

  test('C-02: a CA that is taken out of the file admits nobody any more, not even those remembered', async () => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    const auth = createAuthenticator({ trust: path, revocation: 'none', log: false, now: () => noon.getTime() })
    const alice = await chainOf(old)
    const bob = await chainOf(young)
    expect((await auth.authenticateChain(alice)).outcome).toBe('accepted')
    expect((await auth.authenticateChain(bob)).outcome).toBe('refused')
    writeFileSync(path, young.certificate.pem)
    look()
    expect((await auth.authenticateChain(alice)).outcome).toBe('refused')
    expect((await auth.authenticateChain(bob)).outcome).toBe('accepted')
    await auth.close()
    expect(jest.getTimerCount()).toBe(0)
  })

  test('a store that was given to it is not closed with it', async () => {
    const path = folder()('ca.pem')
    writeFileSync(path, old.certificate.pem)
    const { store } = watched(path)
    const auth = createAuthenticator({ trust: store, revocation: 'none' })
    await auth.close()
    writeFileSync(path, young.certificate.pem)
    look()
    expect(subjects(store)).toEqual(['CN=New Root'])
  })
})

describe('TrustStore.load', () => {
  test('takes several paths, and needs one', () => {
    const file = folder()
    writeFileSync(file('a.pem'), old.certificate.pem)
    writeFileSync(file('b.pem'), young.certificate.pem)
    expect(subjects(TrustStore.load([file('a.pem'), file('b.pem')], { watch: false }))).toEqual([
      'CN=Old Root',
      'CN=New Root',
    ])
    expect(thrownBy(() => TrustStore.load([]))).toMatch(/no path — name the CA of your clients/)
    expect(thrownBy(() => TrustStore.load([file('a.pem'), file('c.pem')]))).toMatch(/c\.pem \(ENOENT\)/)
  })
})

test('generations rise with every snapshot, whatever store it belongs to', () => {
  const generations = [1, 2, 3].map(() => new TrustSnapshot([]).generation)
  expect(generations).toEqual([...generations].sort((a, b) => a - b))
  expect(new Set(generations).size).toBe(3)
})
