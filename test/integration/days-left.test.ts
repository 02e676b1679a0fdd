/** `daysLeftHeader`: a client reads off its answers when it has to renew. Over real sockets, in every framework. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { daysLeftHeader } from '../../src/core/days-left.js'
import { createMount } from '../../src/core/mount.js'
import {
  type AuthenticatorOptions,
  createAuthenticator,
  forwardedHeader,
  type MountOptions,
  proxyAddress,
  rules,
} from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { connectHttp2, get, getPlain, keepAlive } from '../support/clients.js'
import { day, hour, thrownBy } from '../support/pki.js'
import { frameworks, type Plan, serveHttp, serveHttp2, serveHttps } from '../support/servers.js'

const usual = 'client-certificate-days-left'
let pki: TestPki
let alice: TestCredential
let stranger: TestCredential
const inDays = (days: number) => new Date(Date.now() + days * day + hour)
beforeAll(async () => {
  pki = await createTestPki()
  alice = await pki.issue({ notAfter: inDays(12) })
  stranger = await (await createTestPki({ name: 'Other' })).issue({ notAfter: inDays(12) })
})

const make = (options: Partial<AuthenticatorOptions> = {}) =>
  createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, ...options })

for (const framework of frameworks) {
  describe(framework.name, () => {
    const serve = (plan: Plan, auth = make()) => serveHttps(auth, framework.listener(plan))

    test('an accepted client is told, on every request of its connection', async () => {
      const authenticator = make()
      const port = await serve({ mounts: [{ authenticator, daysLeftHeader: true }] }, authenticator)
      const ask = keepAlive(port, alice)
      for (let i = 0; i < 3; i++) {
        const { status, headers } = await ask()
        expect([status, headers[usual], headers['cache-control']]).toEqual([200, '12', 'private'])
      }
      const last = await pki.issue({ notAfter: inDays(0) })
      expect((await get(port, last)).headers[usual]).toBe('0')
    })

    test('nobody is, unless it is asked for', async () => {
      for (const mount of [{}, { daysLeftHeader: false }]) {
        const { status, headers } = await get(await serve({ mounts: [{ authenticator: make(), ...mount }] }), alice)
        expect([status, headers[usual], headers['cache-control']]).toEqual([200, undefined, undefined])
      }
    })

    test('whoever is refused, absent or let pass unaccepted is not', async () => {
      const mounts = [{ authenticator: make(), daysLeftHeader: true }]
      const port = await serve({ mounts })
      const optional = await serve({ mounts: mounts.map((mount) => ({ ...mount, mode: 'optional' as const })) })
      const reporting = await serve({ mounts: mounts.map((mount) => ({ ...mount, mode: 'report-only' as const })) })
      const answers = [await get(port, stranger), await get(port), await get(optional), await get(reporting, stranger)]
      expect(answers.map(({ status }) => status)).toEqual([403, 401, 200, 200])
      expect(answers.map(({ headers }) => headers[usual])).toEqual([undefined, undefined, undefined, undefined])
      // A refusal of a guard behind the mount is answered without it, too.
      const guarded = await serve({ mounts, guards: [[rules.commonName('nobody')]] })
      const refused = await get(guarded, alice)
      expect([refused.status, refused.headers[usual]]).toEqual([403, undefined])
    })

    test('by the name that is wanted, and beside what the application says on caching', async () => {
      const before: Plan['before'] = (carrier) => {
        const response = (carrier.res ?? carrier.response) as { setHeader(name: string, value: string): void }
        response.setHeader('Cache-Control', 'public, max-age=60')
      }
      const port = await serve({ before, mounts: [{ authenticator: make(), daysLeftHeader: 'X-Days' }] })
      const { headers } = await get(port, alice)
      expect([headers['x-days'], headers['cache-control']]).toEqual(['12', 'public, max-age=60'])
    })
  })
}

test('over HTTP/2 as well', async () => {
  const authenticator = make()
  const koa = frameworks.find(({ isKoa }) => isKoa)
  const listener = koa?.listener({ mounts: [{ authenticator, daysLeftHeader: true }] })
  const { get: ask } = await connectHttp2(await serveHttp2(authenticator, listener as never), { client: alice })
  expect((await ask()).headers[usual]).toBe('12')
})

test.each<[MountOptions['caching'], Record<string, string | undefined>]>([
  ['no-store', { 'cache-control': 'no-store', vary: undefined }],
  ['vary', { 'cache-control': undefined, vary: 'client-cert, client-cert-chain' }],
  ['application', { 'cache-control': undefined, vary: undefined }],
])('in header mode, caching: %j has already said what caches may do', async (caching, expected) => {
  const source = forwardedHeader({ preset: 'rfc9440', from: proxyAddress('127.0.0.1') })
  const authenticator = make({ source })
  const [express] = frameworks
  const mounts = [{ authenticator, daysLeftHeader: true, caching: caching as 'vary' }]
  const port = await serveHttp(express?.listener({ mounts }) as never)
  const octets = (der: Uint8Array) => `:${Buffer.from(der).toString('base64')}:`
  const headers = {
    'Client-Cert': octets(alice.certificate.der),
    'Client-Cert-Chain': alice.chain.map(({ der }) => octets(der)).join(', '),
  }
  const answer = await getPlain(port, { headers })
  expect([answer.status, answer.headers[usual]]).toEqual([200, '12'])
  expect(answer.headers).toMatchObject(Object.fromEntries(Object.entries(expected).filter(([, value]) => value)))
  for (const [name, value] of Object.entries(expected)) expect(answer.headers[name]).toBe(value)
})

test('where the clock gives no time, nothing is said', async () => {
  const { certificate, chain } = alice
  const presented = { certificate: certificate.der, intermediates: chain.map(({ der }) => der), via: 'tls' as const }
  const decision = await make().authenticateChain(presented)
  if (decision.outcome !== 'accepted') throw decision.error
  const fields = (now: () => number) => {
    const set = new Map<string, string>()
    const response = { getHeader: () => undefined, setHeader: (name: string, value: string) => set.set(name, value) }
    daysLeftHeader('Days', { now }, true)?.(response, decision.identity)
    return [...set]
  }
  expect(fields(() => Number.NaN)).toEqual([])
  expect(fields(Date.now)).toEqual([['Days', '12']])
})

test.each(['Days Left', '', 'Set-Cookie', 'content-length', 'Access-Control-Allow-Origin', 7])(
  'daysLeftHeader: %j is no name for it',
  (daysLeftHeader) => {
    expect(thrownBy(() => createMount({ authenticator: make(), daysLeftHeader: daysLeftHeader as never }))).toBe(
      `ClientCertConfigError: clientCert: daysLeftHeader is ${JSON.stringify(daysLeftHeader)}, expected true (Client-Certificate-Days-Left) or the name of a header field that is yours`,
    )
  },
)
