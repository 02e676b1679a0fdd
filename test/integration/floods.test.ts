/**
 * Floods: who is refused over and over, and who comes each time with something nobody has seen before. Work is counted, not timed; memories are
 * driven to their bounds; a client that was accepted before stays known.
 */
import http from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import {
  type Authenticator,
  type AuthenticatorOptions,
  createAuthenticator,
  type DecisionContext,
  forwardedHeader,
  proxyAddress,
  type RevocationChecker,
  rules,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import { rfc9440 } from '../../src/source/rfc9440.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { byteSequence, requestWith } from '../source/request.js'
import { get, json, keepAlive } from '../support/clients.js'
import { pemOf } from '../support/pki.js'
import { closing } from '../support/revocation.js'
import { afterThisTest, bare, serveHttp, serveHttps } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
let bob: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue({ subject: 'CN=alice' })
  bob = await pki.issue({ subject: 'CN=bob' })
})

/** A clock that stands: what is remembered for ten seconds is, however slow the machine. */
const clock = { now: Date.now() }
beforeEach(() => {
  clock.now = Date.now()
})

const behindProxy = () => forwardedHeader({ preset: 'rfc9440', from: proxyAddress('127.0.0.1', '10.0.3.7') })

/** An authenticator, and whether each of its decisions was made from memory. */
function protecting(options: Partial<AuthenticatorOptions> = {}) {
  const remembered: boolean[] = []
  const auth = closing(
    createAuthenticator({
      trust: pki.trust,
      intermediates: pki.intermediate.certificate.pem,
      revocation: 'none',
      log: false,
      watch: false,
      now: () => clock.now,
      onDecision: (_decision, context: DecisionContext) => remembered.push(context.remembered),
      ...options,
    }),
  )
  return { auth, lastWasRemembered: () => remembered.at(-1) }
}

/** Says the same of everybody, and counts how often it is asked. */
function counting(answer: Awaited<ReturnType<RevocationChecker['check']>>) {
  const checker = {
    name: 'counting',
    generation: 0,
    asked: 0,
    check: async () => {
      checker.asked++
      return answer
    },
  }
  return checker
}
const revoked = { status: 'revoked', depth: 0 } as const
const undetermined = { status: 'unknown', depth: 0, reason: 'offline', fix: 'wait' } as const

const present = (auth: Authenticator, certificate: Uint8Array, intermediates: readonly Uint8Array[] = []) =>
  auth.authenticateChain({ certificate, intermediates, via: 'tls' })

describe('one certificate that is refused over and over', () => {
  /** How the same client comes again; each asks once. */
  const ways: [name: string, start: (options: Partial<AuthenticatorOptions>) => Promise<() => Promise<number>>][] = [
    [
      'on one TLS connection',
      async (options) => {
        const { auth } = protecting(options)
        const ask = keepAlive(await serveHttps(auth, bare(auth)), alice)
        return async () => (await ask()).status
      },
    ],
    [
      'on a TLS connection each',
      async (options) => {
        const { auth } = protecting(options)
        const port = await serveHttps(auth, bare(auth))
        return async () => (await get(port, alice)).status
      },
    ],
    [
      'in a header of a trusted proxy',
      async (options) => {
        const { auth } = protecting({ source: behindProxy(), ...options })
        const ask = proxied(await serveHttp(bare(auth)))
        return () => ask(byteSequence(alice.certificate.der))
      },
    ],
  ]
  for (const [name, start] of ways) {
    test(`${name}: is validated and asked about once in ten seconds`, async () => {
      const revocation = counting(revoked)
      const ask = await start({ revocation })
      for (let i = 0; i < 40; i++) expect(await ask()).toBe(403)
      expect(revocation.asked).toBe(1)
      clock.now += 10_001
      expect(await ask()).toBe(403)
      expect(revocation.asked).toBe(2)
    })

    test(`${name}: a status nobody knows is asked for each time, because it may be known now`, async () => {
      const revocation = counting(undetermined)
      const ask = await start({ revocation })
      for (let i = 0; i < 10; i++) expect(await ask()).toBe(503)
      expect(revocation.asked).toBe(10)
    })

    test(`${name}: a rule about the identity that does not hold is asked once`, async () => {
      let asked = 0
      const rule = (remember: { remember?: 'identity' }) =>
        rules.custom(
          'nobody',
          () => {
            asked++
            return false
          },
          remember,
        )
      const ask = await start({ rules: rule({ remember: 'identity' }) })
      for (let i = 0; i < 20; i++) expect(await ask()).toBe(403)
      expect(asked).toBe(1)
      // Its twin, which may look at the request, has to.
      const askEachTime = await start({ rules: rule({}) })
      for (let i = 0; i < 20; i++) expect(await askEachTime()).toBe(403)
      expect(asked).toBe(21)
    })
  }

  test('the memory of refusals holds a thousand: what was pushed out is worked out anew, what is within is not', async () => {
    const revocation = counting(revoked)
    const { auth } = protecting({ revocation })
    // The same revoked certificate with other junk behind it is another presentation, as valid as the first.
    const ask = async (n: number) => {
      const { outcome } = await present(auth, alice.certificate.der, [Buffer.from(`junk ${n}`)])
      expect(outcome).toBe('refused')
    }
    for (let n = 0; n < 1_000; n++) await ask(n)
    expect(revocation.asked).toBe(1_000)
    for (let n = 0; n < 1_000; n++) await ask(n)
    expect(revocation.asked).toBe(1_000)
    await ask(1_000)
    expect(revocation.asked).toBe(1_001)
    // Zero was used longest ago.
    await ask(0)
    expect(revocation.asked).toBe(1_002)
    await ask(999)
    expect(revocation.asked).toBe(1_002)
  }, 30_000)
})

/** One change to a certificate each, and the same one for the same number: four octets, or one anywhere. */
const damages: readonly ((der: Buffer, n: number) => void)[] = [
  // The signature stands last, the serial number first: the names are those of whom we trust, and a signature has to be verified.
  (der, n) => der.writeUInt32BE(n, der.length - 12),
  (der, n) => der.writeUInt32BE(n, 20),
  // Whom it names as its issuer.
  (der, n) => der.write(n.toString(36).padStart(4, '-'), der.indexOf('Intermediate')),
  (der, n) => {
    const at = (n * 7_919) % der.length
    der[at] = (der[at] as number) ^ (1 + (n % 255))
  },
]

/** Distinct certificates that nobody vouches for, as many as wanted. */
function* garbage(count: number, { certificate }: TestCredential): Generator<Buffer> {
  for (let n = 1; n <= count; n++) {
    const der = Buffer.from(certificate.der)
    damages[n % damages.length]?.(der, n)
    yield der
  }
}

/** Octets in use after everything that can be collected was. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let i = 0; i < 3; i++) collect()
  return process.memoryUsage().heapUsed
}
const mebibyte = 1_048_576

describe('certificates of which each is another', () => {
  test('twelve thousand: all are refused, memory stays where it was when it was full, and who was accepted before is known', async () => {
    const { auth, lastWasRemembered } = protecting()
    expect((await present(auth, bob.certificate.der)).outcome).toBe('accepted')
    expect(lastWasRemembered()).toBe(false)
    const codes = new Map<string, number>()
    const flood = async (count: number, from: TestCredential) => {
      for (const der of garbage(count, from)) {
        const decision = await present(auth, der)
        const code = decision.outcome === 'accepted' ? 'accepted' : decision.error.code
        codes.set(code, (codes.get(code) ?? 0) + 1)
      }
    }
    // More than the memory of refusals holds; then more than that of acceptances.
    await flood(2_000, alice)
    const full = heapUsed()
    await flood(12_000, await pki.issue({ subject: 'CN=mallory' }))
    expect(heapUsed() - full).toBeLessThan(4 * mebibyte)
    expect(codes.get('accepted')).toBeUndefined()
    // They did not all end at the first hurdle.
    for (const code of ['SIGNATURE', 'UNKNOWN_ISSUER', 'MALFORMED'])
      expect(codes.get(`ERR_CLIENT_CERT_${code}`)).toBeGreaterThan(100)
    expect((await present(auth, bob.certificate.der)).outcome).toBe('accepted')
    expect(lastWasRemembered()).toBe(true)
  }, 60_000)

  test('over TLS: each is refused in a handshake of its own, while the connection of a client goes on from memory', async () => {
    const { auth, lastWasRemembered } = protecting()
    const port = await serveHttps(auth, bare(auth))
    const ask = keepAlive(port, bob)
    expect(json(await ask())).toMatchObject({ cn: 'bob' })
    expect(lastWasRemembered()).toBe(false)
    let handshakes = 0
    for (const der of garbage(120, alice)) {
      const client = { tls: { cert: pemOf('CERTIFICATE', der), key: alice.tls.key } }
      // OpenSSL sends nothing that it cannot read itself.
      const answer = await get(port, client).catch(() => undefined)
      if (answer === undefined) continue
      handshakes++
      expect(answer.status).toBe(403)
      if (handshakes % 20 > 0) continue
      expect(json(await ask())).toMatchObject({ cn: 'bob' })
      expect(lastWasRemembered()).toBe(true)
    }
    expect(handshakes).toBeGreaterThan(90)
    // A new connection of hers is known by the certificate.
    expect(json(await get(port, bob))).toMatchObject({ cn: 'bob' })
    expect(lastWasRemembered()).toBe(true)
  }, 30_000)

  test('in headers of a trusted proxy: all are refused, nothing is kept of them, and the client’s header is not decoded again', async () => {
    const { auth, lastWasRemembered } = protecting({ source: behindProxy() })
    const ask = proxied(await serveHttp(bare(auth)))
    const ofBob = byteSequence(bob.certificate.der)
    expect(await ask(ofBob)).toBe(200)
    const statuses = new Set<number>()
    const flood = async (count: number, from: TestCredential) => {
      const values = garbage(count, from)
      const worker = async () => {
        for (const der of values) statuses.add(await ask(byteSequence(der)))
      }
      await Promise.all(Array.from({ length: 8 }, worker))
    }
    await flood(1_200, alice)
    const full = heapUsed()
    await flood(2_500, await pki.issue({ subject: 'CN=mallory' }))
    expect(heapUsed() - full).toBeLessThan(2 * mebibyte)
    expect([...statuses].sort()).toEqual([400, 403])
    const decode = jest.spyOn(rfc9440, 'certificate')
    expect(await ask(ofBob)).toBe(200)
    expect(lastWasRemembered()).toBe(true)
    expect(decode).not.toHaveBeenCalled()
    // Its refusing twin is, each time.
    const [refused] = garbage(1, alice)
    for (const times of [1, 2]) {
      expect(await ask(byteSequence(refused as Buffer))).toBe(403)
      expect(decode).toHaveBeenCalledTimes(times)
    }
    decode.mockRestore()
  }, 60_000)
})

test('a client that writes its header differently each time fills the memory of headers, and drives out nobody who comes again and again', async () => {
  const { auth } = protecting({ source: behindProxy() })
  const ask = async (value: string) => (await auth.authenticate(requestWith([['Client-Cert', value]]))).outcome
  const [ofAlice, ofBob] = [alice, bob].map(({ certificate }) => byteSequence(certificate.der))
  const filling = 'x'.repeat(limits.headerBytes - 4_096)
  // Different where the memory's hash looks: it would keep four otherwise.
  const spelled = (n: number) => `${ofAlice};a="${filling}${String(n).padStart(7, '0').repeat(40)}"`
  const needed = Math.ceil(limits.headerMemoryBytes / filling.length)
  // A mock would keep every value it was called with, which is what is measured here.
  const { certificate } = rfc9440
  let decoded = 0
  rfc9440.certificate = (value) => {
    decoded++
    return certificate(value)
  }
  afterThisTest(() => {
    rfc9440.certificate = certificate
  })
  const before = heapUsed()
  expect(await ask(ofBob as string)).toBe('accepted')
  const flood = async (from: number, to: number) => {
    for (let n = from; n < to; n++) {
      expect(await ask(spelled(n))).toBe('accepted')
      if (n % 100 === 0) expect(await ask(ofBob as string)).toBe('accepted')
    }
  }
  await flood(0, needed)
  // It is remembered what was sent: otherwise this test would show nothing.
  expect(heapUsed() - before).toBeGreaterThan(limits.headerMemoryBytes / 2)
  await flood(needed, 3 * needed)
  expect(heapUsed() - before).toBeLessThan(limits.headerMemoryBytes * 1.25)
  expect(decoded).toBe(3 * needed + 1)
  expect(await ask(ofBob as string)).toBe('accepted')
  expect(decoded).toBe(3 * needed + 1)
}, 60_000)

/** A proxy that forwards over a few connections; resolves to the status. */
function proxied(port: number): (value: string) => Promise<number> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })
  afterThisTest(() => agent.destroy())
  return (value) =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, agent, headers: { 'client-cert': value } }
      const request = http.get(options, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0))
      })
      request.on('error', reject)
    })
}
