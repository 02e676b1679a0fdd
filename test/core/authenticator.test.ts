/** Decisions over octets: what is remembered, what time does, what listeners cannot do. Sockets are in test/integration. */
import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  type AuthenticatorOptions,
  ClientCertConfigError,
  createAuthenticator,
  type Decision,
  type PresentedChain,
  type RevocationStatus,
  rules,
  TrustStore,
} from '../../src/index.js'
import { createSelfSigned, createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue()
})

const HOUR = 3_600_000
const presented = ({ certificate, chain }: TestCredential, via: 'tls' | 'proxy' = 'tls'): PresentedChain => ({
  certificate: certificate.der,
  intermediates: chain.map(({ der }) => der),
  via,
})

/** An authenticator that counts how often it decided afresh. */
function make(options: Partial<AuthenticatorOptions> = {}) {
  const clock = { now: Date.now() }
  const check = jest.fn((): RevocationStatus => ({ status: 'good' }))
  const remembered: boolean[] = []
  const lines: string[] = []
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: { name: 'counter', generation: 0, check },
    log: (line) => lines.push(line),
    onDecision: (_, context) => remembered.push(context.remembered),
    now: () => clock.now,
    ...options,
  })
  const decide = async (credential = alice, via?: 'tls' | 'proxy') => {
    const decision = await auth.authenticateChain(presented(credential, via))
    return decision.outcome === 'accepted' ? (decision.identity.subject.get('CN') as string) : decision.error.code
  }
  return { auth, clock, check, remembered, lines, decide }
}

describe('what is remembered', () => {
  test('an acceptance: path and revocation are verified once for a certificate', async () => {
    const { decide, check, remembered } = make()
    for (let i = 0; i < 5; i++) expect(await decide()).toBe('alice')
    expect(check).toHaveBeenCalledTimes(1)
    expect(remembered).toEqual([false, true, true, true, true])
  })

  test('an acceptance belongs to the end entity, whatever intermediates come with it', async () => {
    const { auth, check } = make()
    await auth.authenticateChain(presented(alice))
    const bare = await auth.authenticateChain({ ...presented(alice), intermediates: [] })
    const junk = await auth.authenticateChain({ ...presented(alice), intermediates: [Uint8Array.of(1)] })
    expect([bare.outcome, junk.outcome]).toEqual(['accepted', 'accepted'])
    expect(check).toHaveBeenCalledTimes(1)
  })

  test('a refusal belongs to all that was presented: the right intermediates are not refused for the wrong ones', async () => {
    const { auth } = make()
    const missing = { ...presented(alice), intermediates: [] }
    expect((await auth.authenticateChain(missing)).outcome).toBe('refused')
    expect((await auth.authenticateChain(missing)).outcome).toBe('refused')
    expect((await auth.authenticateChain(presented(alice))).outcome).toBe('accepted')
  })

  test('the way it came by is part of what is remembered: an identity never says "tls" of a header', async () => {
    const { auth } = make()
    const [direct, forwarded] = [
      await auth.authenticateChain(presented(alice, 'tls')),
      await auth.authenticateChain(presented(alice, 'proxy')),
    ]
    expect([direct, forwarded].map((decision) => decision.outcome === 'accepted' && decision.identity.via)).toEqual([
      'tls',
      'proxy',
    ])
  })

  test('two certificates with the same name and key are two', async () => {
    const twin = await pki.issue({ key: alice, notAfter: new Date(Date.now() + 5_000) })
    const { decide, clock } = make()
    expect([await decide(alice), await decide(twin)]).toEqual(['alice', 'alice'])
    clock.now += 10_000
    expect([await decide(alice), await decide(twin)]).toEqual(['alice', 'ERR_CLIENT_CERT_EXPIRED'])
  })

  test('a flood of refused certificates does not drive out one that was accepted', async () => {
    const { decide, auth, check } = make()
    await decide()
    const garbage = Uint8Array.from(alice.certificate.der)
    const view = new DataView(garbage.buffer)
    for (let i = 0; i < 12_000; i++) {
      view.setUint32(garbage.length - 8, i)
      await auth.authenticateChain({
        certificate: Uint8Array.of(0x30, 4, ...garbage.subarray(-4)),
        intermediates: [],
        via: 'tls',
      })
    }
    expect(await decide()).toBe('alice')
    expect(check).toHaveBeenCalledTimes(1)
  })

  test('a refusal by a rule or by resolve() is decided on every request', async () => {
    let known = false
    const { decide } = make({ resolve: () => (known ? 'somebody' : undefined) as never, log: false })
    expect(await decide()).toBe('ERR_CLIENT_CERT_PRINCIPAL')
    let holds = false
    const ruled = make({ rules: rules.custom('switch', () => holds) })
    expect(await ruled.decide()).toBe('ERR_CLIENT_CERT_RULE')
    holds = true
    expect(await ruled.decide()).toBe('alice')
    holds = false
    expect(await ruled.decide()).toBe('ERR_CLIENT_CERT_RULE')
    known = true
  })

  test('what went wrong in us is not remembered', async () => {
    const { decide, check } = make()
    check.mockImplementationOnce(() => {
      throw new Error('broken')
    })
    expect([await decide(), await decide()]).toEqual(['ERR_CLIENT_CERT_INTERNAL', 'alice'])
    const unknown = make()
    unknown.check.mockReturnValueOnce({ status: 'unknown', reason: 'offline' })
    expect([await unknown.decide(), await unknown.decide()]).toEqual(['ERR_CLIENT_CERT_REVOCATION_UNKNOWN', 'alice'])
  })

  test('two authenticators remember nothing of each other', async () => {
    const other = await createTestPki({ name: 'Other' })
    const [here, there] = [make(), make({ trust: other.trust })]
    expect([await here.decide(), await there.decide(), await here.decide()]).toEqual([
      'alice',
      'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
      'alice',
    ])
  })
})

describe('generations', () => {
  test('a reload makes everything anew, even with the same anchors', async () => {
    const store = TrustStore.assemble({ label: 'memory', load: () => TrustStore.parse(pki.trust).current() })
    const { decide, check } = make({ trust: store })
    await decide()
    store.reload()
    await decide()
    expect(check).toHaveBeenCalledTimes(2)
  })

  test('a reload that failed keeps what is remembered', async () => {
    let broken = false
    const first = TrustStore.parse(pki.trust).current()
    const store = TrustStore.assemble({
      label: 'memory',
      load: () => {
        if (broken) throw new Error('half a file')
        return first
      },
    })
    const { decide, check } = make({ trust: store })
    await decide()
    broken = true
    expect(store.reload().ok).toBe(false)
    expect(await decide()).toBe('alice')
    expect(check).toHaveBeenCalledTimes(1)
  })

  test('C-02: a reload while a decision is under way has it made anew: no two stores are mixed, and what the first one said is forgotten', async () => {
    const other = await createTestPki({ name: 'Other' })
    let anchors = pki.trust
    const store = TrustStore.assemble({ label: 'memory', load: () => TrustStore.parse(anchors).current() })
    let release: (() => void) | undefined
    const waiting = new Promise<void>((resolve) => {
      release = resolve
    })
    const check = jest.fn(async (): Promise<RevocationStatus> => {
      await waiting
      return { status: 'good' }
    })
    const { decide } = make({ trust: store, revocation: { name: 'slow', check } })
    const underWay = decide()
    anchors = other.trust
    store.reload()
    release?.()
    expect(await underWay).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    expect(await decide()).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
  })

  test('a refusal is made anew after a reload, at once', async () => {
    const other = await createTestPki({ name: 'Other' })
    let anchors = other.trust
    const store = TrustStore.assemble({ label: 'memory', load: () => TrustStore.parse(anchors).current() })
    const { decide } = make({ trust: store })
    expect(await decide()).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    anchors = pki.trust
    store.reload()
    expect(await decide()).toBe('alice')
  })
})

describe('time', () => {
  test('a clock that was set back makes a decision anew', async () => {
    const { decide, clock, check } = make()
    await decide()
    clock.now -= 1
    expect(await decide()).toBe('alice')
    expect(check).toHaveBeenCalledTimes(2)
    clock.now -= 2 * HOUR
    expect(await decide()).toBe('ERR_CLIENT_CERT_NOT_YET_VALID')
  })

  test('a certificate that is not yet valid is accepted in the moment it becomes so', async () => {
    const notBefore = Math.floor(Date.now() / 1000) * 1000 + HOUR
    const early = await pki.issue({ notBefore: new Date(notBefore) })
    const { decide, clock } = make()
    clock.now = notBefore - 1
    expect(await decide(early)).toBe('ERR_CLIENT_CERT_NOT_YET_VALID')
    clock.now = notBefore
    expect(await decide(early)).toBe('alice')
  })

  const broken: [name: string, now: () => unknown][] = [
    ['NaN', () => Number.NaN],
    ['Infinity', () => Number.POSITIVE_INFINITY],
    ['nothing', () => undefined],
    ['null', () => null],
    ['a text', () => '2026-11-22'],
    ['a Date', () => new Date()],
    ['a bigint', () => BigInt(Date.now())],
    ['a promise', () => Promise.resolve(Date.now())],
    [
      'an exception',
      () => {
        throw new Error('no clock')
      },
    ],
  ]
  for (const [name, now] of broken) {
    test(`a clock that gives ${name} denies, and does not reject`, async () => {
      const decisions: Decision[] = []
      const { auth } = make({ now: now as () => number, onDecision: (decision) => decisions.push(decision) })
      const decision = await auth.authenticateChain(presented(alice))
      expect(decision).toMatchObject({ outcome: 'refused', error: { code: 'ERR_CLIENT_CERT_INTERNAL', status: 500 } })
      expect(decisions).toHaveLength(1)
    })
  }

  test('a clock that gives a promise which is rejected denies, and does not end the process', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', note)
    try {
      const now = () => Promise.reject(new Error('no clock')) as never
      const { auth } = make({ now })
      expect(await auth.authenticateChain(presented(alice))).toMatchObject({ outcome: 'refused' })
      await new Promise((resolve) => setTimeout(resolve, 10))
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })

  test('a clock that breaks denies who was accepted, and heals', async () => {
    const { decide, clock } = make()
    expect(await decide()).toBe('alice')
    const time = clock.now
    clock.now = Number.NaN
    expect(await decide()).toBe('ERR_CLIENT_CERT_INTERNAL')
    clock.now = time
    expect(await decide()).toBe('alice')
  })

  test('validUntil is the last moment the decision holds', async () => {
    const end = Math.floor(Date.now() / 1000) * 1000 + HOUR
    const { auth } = make()
    const decision = await auth.authenticateChain(presented(await pki.issue({ notAfter: new Date(end) })))
    expect(decision.outcome === 'accepted' && decision.validUntil.getTime()).toBe(end + 999)
  })
})

describe('O-05: what listens changes nothing', () => {
  const thrower = () => {
    throw new Error('listener')
  }
  const rejecter = async () => {
    throw new Error('listener')
  }
  for (const listener of [thrower, rejecter]) {
    test(`onDecision and log that ${listener === thrower ? 'throw' : 'reject'}`, async () => {
      const { decide } = make({ onDecision: listener as never, log: listener as never })
      expect(await decide()).toBe('alice')
      expect(await decide(await (await createTestPki()).issue())).toMatch(/^ERR_/)
      expect(await decide()).toBe('alice')
    })
  }

  test('a listener that writes to the decision writes to nothing', async () => {
    const { auth } = make({
      onDecision: (decision) => {
        ;(decision as { outcome: string }).outcome = 'accepted'
      },
    })
    const decision = await auth.authenticateChain({ certificate: Uint8Array.of(1), intermediates: [], via: 'tls' })
    expect([decision.outcome, Object.isFrozen(decision)]).toEqual(['refused', true])
  })
})

describe('never rejects', () => {
  const inputs: [name: string, input: unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['a text', 'x'],
    ['an empty object', {}],
    ['no intermediates', { certificate: Uint8Array.of(1) }],
    ['text for octets', { certificate: 'MII', intermediates: [], via: 'tls' }],
    ['no octets', { certificate: new Uint8Array(0), intermediates: [], via: 'tls' }],
    ['text for intermediates', { certificate: Uint8Array.of(0x30, 0), intermediates: 'x', via: 'tls' }],
    [
      'a getter that throws',
      {
        get certificate() {
          throw new Error('x')
        },
      },
    ],
  ]
  for (const [name, input] of inputs) {
    test(`given ${name}: refused, by all three ways in`, async () => {
      const { auth } = make()
      for (const decision of [
        await auth.authenticateChain(input as never),
        await auth.authenticate(input as never),
        await auth.authenticateSocket(input as never),
      ]) {
        expect(decision.outcome).not.toBe('accepted')
      }
    })
  }
})

test('ready() resolves; after close() it rejects, and everything is refused as not ready', async () => {
  const { auth, decide } = make()
  await auth.ready()
  expect(await decide()).toBe('alice')
  await auth[Symbol.asyncDispose]()
  await expect(auth.ready()).rejects.toMatchObject({ code: 'ERR_CLIENT_CERT_NOT_READY' })
  expect(await decide()).toBe('ERR_CLIENT_CERT_NOT_READY')
})

describe('log lines', () => {
  afterEach(() => {
    jest.restoreAllMocks()
  })

  test('O-01: what a certificate says is escaped and cut', async () => {
    const evil = 'x\r\nmtls-identity FORGED: line\u001b[31m\u2028\u202e%s'
    const stranger = await createTestPki({ name: evil })
    const { decide, lines } = make()
    await decide(await stranger.issue())
    await decide(await (await createTestPki({ name: 'L'.repeat(5_000) })).issue())
    expect(lines).toHaveLength(2)
    for (const line of lines) {
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/)
      expect(line.length).toBeLessThan(1_200)
    }
    expect(lines[0]?.startsWith('mtls-identity ERR_CLIENT_CERT_UNKNOWN_ISSUER: issued by "')).toBe(true)
  })

  test('O-01: what a request says is escaped, too', async () => {
    const { auth, lines } = make()
    await auth.authenticate({
      socket: {
        encrypted: true,
        server: { requestCert: true, ca: [] },
        getPeerX509Certificate: () => undefined,
        isSessionReused: () => false,
        getProtocol: () => 'TLSv1.3',
      },
      headers: { 'user-agent': 'kube-probe/1\u0085\r\nFORGED' },
      rawHeaders: [],
      method: 'GET',
      url: '/x\u2028y',
    } as never)
    expect(lines[0]).toBe(
      'mtls-identity ERR_CLIENT_CERT_ABSENT: on GET "/x\\u2028y" from "kube-probe/1\\u0085\\r\\nFORGED" — skip: r => r.url === "/x\\u2028y", or probe a second, plain port',
    )
  })

  test('one line for each code and issuer in ten seconds; the next one counts what was left out', async () => {
    const written: string[] = []
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
    const clock = { now: Date.now() }
    const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', now: () => clock.now })
    const [one, two] = [await createTestPki({ name: 'One' }), await createTestPki({ name: 'Two' })]
    const refuse = async (credential: TestCredential) => void (await auth.authenticateChain(presented(credential)))
    for (let i = 0; i < 4; i++) await refuse(await one.issue({ subject: `CN=${i}` }))
    expect(written).toHaveLength(1)
    await refuse(await two.issue())
    expect(written).toHaveLength(2)
    await refuse(await pki.issue({ notAfter: new Date(clock.now - 1000) }))
    expect(written).toHaveLength(3)
    clock.now += 9_999
    await refuse(await one.issue())
    expect(written).toHaveLength(3)
    clock.now += 1
    await refuse(await one.issue())
    expect(written).toHaveLength(4)
    expect(written[3]).toMatch(/ \(and 4 more like it\)\n$/)
    clock.now -= HOUR / 2
    await refuse(await one.issue())
    expect(written).toHaveLength(5)
  })

  test('rules that refuse get a line each, whatever of them was said before', async () => {
    const written: string[] = []
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
    const auth = createAuthenticator({
      trust: pki.trust,
      revocation: 'none',
      rules: rules.all(rules.not(rules.commonName('one')), rules.not(rules.commonName('two'))),
    })
    for (const name of ['one', 'two', 'one', 'two']) {
      await auth.authenticateChain(presented(await pki.issue({ subject: `CN=${name}` })))
    }
    expect(written.map((line) => /commonName\("\w+"\)/.exec(line)?.[0])).toEqual([
      'commonName("one")',
      'commonName("two")',
    ])
  })

  test('the rate does not depend on what strangers can choose without end', async () => {
    const written: string[] = []
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
    const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', rules: rules.commonName('admin') })
    for (let i = 0; i < 20; i++) await auth.authenticateChain(presented(await pki.issue({ subject: `CN=client ${i}` })))
    expect(written).toHaveLength(1)
  })

  test('a stranger who invents issuers gets ten lines in ten seconds, and the next line counts the others', async () => {
    const written: string[] = []
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
    const clock = { now: Date.now() }
    const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', now: () => clock.now })
    for (let i = 0; i < 25; i++) {
      await auth.authenticateChain(presented(await createSelfSigned({ subject: `CN=stranger ${i}` })))
    }
    expect(written).toHaveLength(10)
    // Others are still heard.
    await auth.authenticateChain(presented(await pki.issue({ notAfter: new Date(clock.now - 1000) })))
    expect(written).toHaveLength(11)
    clock.now += 10_000
    await auth.authenticateChain(presented(await createSelfSigned({ subject: 'CN=stranger' })))
    expect(written[11]).toMatch(/ \(and 15 more like it\)\n$/)
  })

  test('log: false is silence; an acceptance is no line', async () => {
    const write = jest.spyOn(process.stderr, 'write').mockReturnValue(true)
    const silent = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
    await silent.authenticateChain({ certificate: Uint8Array.of(1), intermediates: [], via: 'tls' })
    const speaking = createAuthenticator({ trust: pki.trust, revocation: 'none' })
    await speaking.authenticateChain(presented(alice))
    expect(write).not.toHaveBeenCalled()
  })
})

describe('options', () => {
  const cases: [given: Record<string, unknown>, said: string][] = [
    [{}, 'trust: is missing'],
    [{ trust: undefined }, 'trust: is undefined'],
    [{ trust: '' }, 'trust'],
    [{ trustStore: 'x' }, 'unknown option "trustStore". Did you mean "trust"?'],
    [{ rule: 'x' }, 'Did you mean "rules"?'],
    [{ ca: 'x' }, 'unknown option "ca"'],
    [{ rules: undefined }, 'rules: is undefined'],
    [{ rules: null }, 'rules: expected a rule'],
    [{ rules: () => true }, 'rules: expected a rule'],
    [{ rules: [] }, 'rules: expected a rule'],
    [{ revocation: undefined }, 'revocation: is undefined'],
    [{ revocation: 'off' }, "revocation: expected 'none' or a checker, got \"off\" — crl({ files: './clients.crl' })"],
    [{ revocation: false }, "revocation: expected 'none' or a checker"],
    [{ revocation: {} }, "revocation: expected 'none' or a checker"],
    [{ now: Date.now() }, 'now: expected a function, got number'],
    [{ resolve: {} }, 'resolve: expected a function'],
    [{ onDecision: 'x' }, 'onDecision: expected a function'],
    [{ log: true }, 'log: expected a function, got boolean'],
    [{ log: console }, 'log: expected a function, got object'],
    [{ watch: 'no' }, 'watch: expected a boolean'],
    [{ source: 'tls' }, 'source: expected tlsSocket()'],
    [{ source: null }, 'source: expected tlsSocket()'],
    [{ profile: 'lax' }, "profile: expected 'strict', 'compatible' or an object"],
    [{ profile: { minimumRsaBit: 1 } }, 'Did you mean "minimumRsaBits"?'],
  ]
  for (const [given, said] of cases) {
    test(`createAuthenticator(${JSON.stringify(given, (_, value) => (value === undefined ? 'undefined' : value)).slice(0, 80)}): ${said}`, () => {
      const known = 'trust' in given || Object.keys(given).length === 0 ? {} : { trust: pki.trust }
      const options = { revocation: 'none', ...known, ...given } as never
      expect(() => createAuthenticator(options)).toThrow(ClientCertConfigError)
      expect(() => createAuthenticator(options)).toThrow(said)
    })
  }

  test('nothing, null and a path are not options', () => {
    for (const options of [undefined, null, './ca.pem']) {
      expect(() => createAuthenticator(options as never)).toThrow(ClientCertConfigError)
    }
  })

  test('an authenticator cannot be changed', () => {
    const { auth } = make()
    expect(() => {
      ;(auth as { authenticate: unknown }).authenticate = async () => ({ outcome: 'accepted' })
    }).toThrow(TypeError)
  })

  test('options that are changed afterwards change nothing', async () => {
    const options: AuthenticatorOptions = {
      trust: pki.trust,
      revocation: 'none',
      log: false,
      rules: rules.commonName('nobody'),
    }
    const auth = createAuthenticator(options)
    delete options.rules
    expect((await auth.authenticateChain(presented(alice))).outcome).toBe('refused')
  })
})
