/** `mtls-identity:reload`: whatever an operator named and may change is said when it was read again, and when it could not be. */
import { writeFileSync } from 'node:fs'
import https from 'node:https'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import {
  type AuthenticatorOptions,
  channels,
  createAuthenticator,
  proxySecret,
  type ReloadEvent,
  rules,
} from '../../src/index.js'
import { type SuperviseOptions, superviseServer, tlsServerOptions } from '../../src/server.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { fromNoon, hour, noon, temporaryFolder } from '../support/pki.js'

const at = temporaryFolder()
let pki: TestPki
let other: TestPki
let alice: TestCredential
let servers: { key: string; cert: string }[]
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  other = await createTestPki({ now: noon, name: 'Other' })
  alice = await pki.issue()
  servers = [(await pki.server()).tls, (await other.server()).tls]
})

let events: ReloadEvent[] = []
let warnings: string[] = []
const hear = (event: ReloadEvent) => events.push(event)
const open: (() => unknown)[] = []
beforeEach(() => {
  events = []
  warnings = []
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] })
  jest.spyOn(process, 'emitWarning').mockImplementation((_, options) => {
    warnings.push((options as { code: string }).code)
  })
  channels.reload.subscribe(hear)
})
afterEach(() => {
  for (const close of open.splice(0)) close()
  channels.reload.unsubscribe(hear)
  jest.useRealTimers()
  jest.restoreAllMocks()
})

const look = () => jest.advanceTimersByTimeAsync(2_000)

function authenticator(options: Partial<AuthenticatorOptions>) {
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: false,
    now: () => noon.getTime(),
    ...options,
  })
  open.push(() => auth.close())
  return auth
}

function supervised(options: SuperviseOptions) {
  const auth = authenticator({})
  const server = https.createServer(tlsServerOptions(auth, servers[0] as { key: string; cert: string }))
  const supervisor = superviseServer(server, auth, options)
  open.push(() => supervisor.close())
}

const exceptionOf = (reason: string) =>
  JSON.stringify([{ fingerprint: alice.fingerprint, ignore: ['expired'], until: fromNoon(hour).toISOString(), reason }])

interface Watched {
  kind: ReloadEvent['kind']
  open: (path: string) => void
  contents: () => readonly [first: string, second: string]
  broken?: string
  /** Of a reload that was good. */
  more?: object
  warning?: string
}

const watched: Watched[] = [
  {
    kind: 'trust',
    open: (path) => void authenticator({ trust: path }),
    contents: () => [pki.trust, pki.trust + other.trust],
    more: { anchorCount: expect.any(Number) },
  },
  {
    kind: 'intermediates',
    open: (path) => void authenticator({ intermediates: path }),
    contents: () => [pki.intermediate.certificate.pem, other.intermediate.certificate.pem],
    more: { anchorCount: expect.any(Number) },
  },
  {
    kind: 'rules',
    open: (path) => void authenticator({ rules: { file: path } }),
    contents: () => ['{"allow":{"commonName":"alice"}}', '{"allow":{"commonName":"bob"}}'],
  },
  {
    kind: 'listed',
    open: (path) => open.push(rules.listed({ file: path }).close),
    contents: () => [alice.certificate.pem, pki.trust],
  },
  {
    kind: 'exceptions',
    open: (path) => void authenticator({ exceptions: { file: path } }),
    contents: () => [exceptionOf('one'), exceptionOf('another')],
  },
  {
    kind: 'proxy-secrets',
    open: (path) => open.push(proxySecret({ header: 'X-Secret', secrets: { file: path } }).close),
    contents: () => ['a'.repeat(32), 'b'.repeat(40)],
    broken: 'short',
  },
]

describe.each(watched)('$kind', ({ kind, open: start, contents, broken = 'garbage', more = {} }) => {
  test('nothing at the start; a change, a change that cannot be read, and one that can be', async () => {
    const path = at(`${kind}.pem`)
    const [first, second] = contents()
    const event = { kind, source: path, stale: false }
    writeFileSync(path, first)
    start(path)
    await look()
    expect(events).toEqual([])

    writeFileSync(path, second)
    await look()
    expect(events).toEqual([{ ...event, ok: true, generation: expect.any(Number), ...more }])
    expect(Object.isFrozen(events[0])).toBe(true)

    writeFileSync(path, broken)
    await look()
    expect(events.slice(1)).toEqual([{ ...event, ok: false, error: expect.any(Error) }])
    expect(warnings.filter((code) => code === 'MTLS_RELOAD_FAILED')).toHaveLength(1)
    await look()

    writeFileSync(path, first)
    await look()
    expect(events.slice(2)).toEqual([{ ...event, ok: true, generation: expect.any(Number), ...more }])
    const [{ generation: before }, { generation: after }] = [events[0], events[2]] as unknown as {
      generation: number
    }[] as [{ generation: number }, { generation: number }]
    expect(after).toBeGreaterThan(before)

    for (const close of open.splice(0)) await close()
    writeFileSync(path, second)
    await look()
    expect(events).toHaveLength(3)
  })
})

describe('credentials', () => {
  test('of files: a pair that goes together, a key without its certificate, and the pair it belongs to', async () => {
    const [one, two] = servers as [{ key: string; cert: string }, { key: string; cert: string }]
    const files = { key: at('server.key'), cert: at('server.crt') }
    const write = ({ key, cert }: { key: string; cert: string }) => {
      writeFileSync(files.key, key, { mode: 0o400, flag: 'w' })
      writeFileSync(files.cert, cert)
    }
    const event = { kind: 'credentials', source: `${files.key}, ${files.cert}`, stale: false }
    write(one)
    supervised({ credentials: files })
    write(two)
    await look()
    write({ ...two, key: one.key })
    await look()
    await look()
    write(one)
    await look()
    expect(events).toEqual([
      { ...event, ok: true, generation: 1 },
      { ...event, ok: false, error: expect.any(Error) },
      { ...event, ok: true, generation: 2 },
    ])
    expect(JSON.stringify(events)).not.toContain('PRIVATE')
    expect(warnings.filter((code) => code === 'MTLS_SERVER_CERTIFICATE')).toHaveLength(1)
  })

  test('of a provider: the first load and each that brings something else, a failure once, and its end', async () => {
    const [one, two] = servers as [{ key: string; cert: string }, { key: string; cert: string }]
    let load = () => one
    supervised({ credentials: { load: () => load(), refresh: 10_000 } })
    const loads = async (count: number) => {
      for (let i = 0; i < count; i++) await jest.advanceTimersByTimeAsync(11_000)
    }
    await loads(2)
    load = () => two
    await loads(1)
    load = () => {
      throw new Error('503')
    }
    await loads(3)
    load = () => two
    await loads(2)
    const event = { kind: 'credentials', source: 'provider', stale: false }
    expect(events).toEqual([
      { ...event, ok: true, generation: 1 },
      { ...event, ok: true, generation: 2 },
      { ...event, ok: false, error: expect.objectContaining({ message: '503' }) },
      { ...event, ok: true, generation: 3 },
    ])
  })
})

describe('what is read again because somebody asks', () => {
  test('a rule document: both outcomes, and whoever asked hears them as before', () => {
    const path = at('asked.json')
    writeFileSync(path, '{"allow":"everyone"}')
    const rule = rules.document({ file: path, watch: false })
    rule.reload()
    writeFileSync(path, '{')
    expect(() => rule.reload()).toThrow(/line 1/)
    expect(events.map(({ kind, ok }) => [kind, ok])).toEqual([
      ['rules', true],
      ['rules', false],
    ])
  })

  test('listed() of a function: the first load, too, since nobody may be waiting for it', async () => {
    let content: () => Promise<string> = async () => alice.certificate.pem
    const rule = rules.listed({ load: () => content() })
    await look()
    content = () => Promise.reject(new Error('the database is down'))
    await expect(rule.reload()).rejects.toThrow('database')
    const never = rules.listed({ load: () => content() })
    await look()
    never.close()
    expect(events).toEqual([
      { kind: 'listed', source: 'load', stale: false, ok: true, generation: 1 },
      { kind: 'listed', source: 'load', stale: false, ok: false, error: expect.any(Error) },
      { kind: 'listed', source: 'load', stale: false, ok: false, error: expect.any(Error) },
    ])
  })
})
