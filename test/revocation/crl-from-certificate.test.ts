import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Decision } from '../../src/core/decision.js'
import { limits } from '../../src/limits.js'
import { resolveProfile } from '../../src/path/profile.js'
import type { StatusQuestion } from '../../src/revocation/certificate-status.js'
import { crl } from '../../src/revocation/crl-checker.js'
import { CrlDownloads } from '../../src/revocation/crl-downloads.js'
import { CrlHoldings } from '../../src/revocation/crl-holdings.js'
import { type CrlOptions, resolveCrlOptions } from '../../src/revocation/crl-options.js'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type TestAuthority,
  type TestCredential,
  type TestPki,
} from '../../src/testing.js'
import { day, fromNoon, hour, noon, second } from '../support/pki.js'
import { type Responder, startResponder } from '../support/responder.js'
import { closing, crlAt, deciding, freshestAt, heardEvents, heardWarnings, until } from '../support/revocation.js'

const warnings = heardWarnings()
const events = heardEvents()
let pki: TestPki
let issuing: TestAuthority
let alice: TestCredential
let bob: TestCredential
let server: Responder
/** What is published, by path. */
let documents: Map<string, Uint8Array>

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
})
beforeEach(async () => {
  documents = new Map()
  server = await startResponder({ answer: ({ path }) => documents.get(path) ?? Buffer.from('nothing there') })
  const end = { notAfter: fromNoon(60 * day) }
  issuing = await pki.root.issueAuthority({ subject: 'CN=Issuing', extensions: [crlAt(`${server.url}/root.crl`)] })
  alice = await issuing.issue({ subject: 'CN=alice', extensions: [crlAt(`${server.url}/issuing.crl`)], ...end })
  bob = await issuing.issue({ subject: 'CN=bob', extensions: [crlAt(`${server.url}/issuing.crl`)], ...end })
  documents.set('/root.crl', (await pki.root.crl({ nextUpdate: fromNoon(50 * day) })).der)
  documents.set('/issuing.crl', (await issuing.crl()).der)
})

const loopback = { allowPrivateNetworks: ['127.0.0.0/8'] }
function from(options: Partial<CrlOptions> = {}) {
  const clock = { now: noon.getTime() }
  const allowed = { fromCertificate: true, allowHosts: [`127.0.0.1:${server.port}`], ...loopback }
  const checker = closing(crl({ ...allowed, timeoutMilliseconds: 900, now: () => clock.now, ...options }))
  return { checker, ...deciding({ trust: pki.trust, revocation: checker }, clock) }
}
const paths = () => server.requests.map(({ path }) => path).sort()
const validUntil = (decision: Decision) => (decision.outcome === 'accepted' ? decision.validUntil.getTime() : 0)

describe('crl({ fromCertificate })', () => {
  test('every certificate of the path is asked about where it says; the first request waits, the others do not fetch', async () => {
    documents.set('/issuing.crl', (await issuing.crl({ revoked: [{ serialNumber: bob }] })).der)
    const { verdict, checker } = from()
    await expect(checker.ready()).resolves.toBeUndefined()
    expect(server.accepted).toBe(0)
    expect([await verdict(alice), await verdict(bob), await verdict(alice)]).toEqual([
      'accepted',
      'REVOKED',
      'accepted',
    ])
    expect(paths()).toEqual(['/issuing.crl', '/root.crl'])
    expect(warnings).toEqual([])
  })

  test('a revoked intermediate is found where it says itself', async () => {
    documents.set('/root.crl', (await pki.root.crl({ revoked: [{ serialNumber: issuing }] })).der)
    expect(await from().verdict(alice)).toBe('REVOKED')
  })

  test('R-02: nobody is asked for a certificate whose path is not valid', async () => {
    const points = { extensions: [crlAt(`${server.url}/issuing.crl`)] }
    const stranger = await createTestPki({ now: noon, name: 'Stranger' })
    const lookAlike = await createTestAuthority({ subject: 'CN=Issuing', now: noon })
    const { verdict } = from()
    expect(await verdict(await createSelfSigned(points))).toBe('UNKNOWN_ISSUER')
    expect(await verdict(await stranger.issue(points))).toBe('UNKNOWN_ISSUER')
    expect(await verdict(await issuing.issue({ ...points, signWith: lookAlike }))).toBe('SIGNATURE')
    const past = { notBefore: fromNoon(-2 * day), notAfter: fromNoon(-day) }
    expect(await verdict(await issuing.issue({ ...points, ...past }))).toBe('EXPIRED')
    expect(await verdict(await issuing.issue({ ...points, extendedKeyUsage: ['serverAuth'] }))).toBe('KEY_USAGE')
    expect([server.accepted, events]).toEqual([0, []])
  })

  test('R-01: nobody is asked where nobody said so, be the path as valid as it may', async () => {
    const checker = closing(crl({ urls: `${server.url}/root.crl`, now: () => noon.getTime() }))
    const { verdict } = deciding({ trust: pki.trust, revocation: checker })
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    expect(paths()).toEqual(['/root.crl'])
  })

  test.each<{ name: string; options: () => Partial<CrlOptions>; says: RegExp }>([
    {
      name: 'a host that is not allowed',
      options: () => ({ allowHosts: ['crl.corp'] }),
      says: /"http:\/\/127\.0\.0\.1:\d+\/issuing\.crl" was not fetched: it comes from a certificate, and "127\.0\.0\.1:\d+" is not among the allowed hosts — allowHosts: \['crl\.example\.com'\] allows its default ports$/,
    },
    {
      name: 'another port of an allowed host',
      options: () => ({ allowHosts: ['127.0.0.1'] }),
      says: /"127\.0\.0\.1:\d+" is not among the allowed hosts/,
    },
    {
      name: 'row 31: a private address of an allowed host',
      options: () => ({ allowPrivateNetworks: ['10.0.0.0/8'] }),
      says: /its host has the loopback address 127\.0\.0\.1 — allowPrivateNetworks: \['127\.0\.0\.1'\] if that is where it should lead$/,
    },
  ])('R-01: $name is not connected to, and the sentence says what to write', async ({ options, says }) => {
    const { help, verdict } = from(options())
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    const sentence = await help(alice)
    expect(sentence).toMatch(/^no CRL of "CN=Issuing" for client "CN=alice"; /)
    expect(sentence).toMatch(says)
    expect(server.accepted).toBe(0)
    expect(warnings).toEqual([])
  })

  test.each([
    ['ldap', 'ldap://127.0.0.1/cn=x'],
    ['a file', 'file:///etc/passwd'],
    ['data', 'data:application/pkix-crl,x'],
    ['more than is fetched', `http://127.0.0.1/${'x'.repeat(limits.fetchUrlCharacters)}`],
  ])('R-01: an address that is %s is passed over: no event, and a sentence that it names none', async (_, url) => {
    const client = await issuing.issue({ subject: 'CN=carol', extensions: [crlAt(url)] })
    const { help } = from()
    expect(await help(client)).toBe(
      'no CRL of "CN=Issuing" for client "CN=carol"; the certificate names no address of one over http or https — add it by files or urls, or have the CA write cRLDistributionPoints',
    )
    expect(events.filter(({ type }) => type === 'crl-failed')).toEqual([])
  })

  test('a certificate that names no address is unknown', async () => {
    const { help, verdict } = from()
    const client = await issuing.issue()
    expect(await verdict(client)).toBe('REVOCATION_UNKNOWN')
    expect(await help(client)).toMatch(/; the certificate names no address of one over http or https — add it by files/)
  })

  test('of many addresses four are asked', async () => {
    const urls = (count: number) => Array.from({ length: count }, (_, i) => `${server.url}/${i}.crl`)
    const { verdict } = from()
    const many = await issuing.issue({ extensions: [crlAt(...urls(limits.crlUrlsPerCertificate + 1))] })
    expect(await verdict(many)).toBe('REVOCATION_UNKNOWN')
    await until(() => server.requests.length === 5)
    expect(paths()).toEqual(['/0.crl', '/1.crl', '/2.crl', '/3.crl', '/root.crl'])
    documents.set('/3.crl', documents.get('/issuing.crl') as Uint8Array)
    const few = await issuing.issue({ extensions: [crlAt(...urls(limits.crlUrlsPerCertificate))] })
    expect(await from().verdict(few)).toBe('accepted')
  })

  test('the first address that tells is enough: nobody waits for another that hangs', async () => {
    const dead = await startResponder({ fault: 'hang-before-answer' })
    const client = await issuing.issue({ extensions: [crlAt(`${dead.url}/x.crl`, `${server.url}/issuing.crl`)] })
    const allowHosts = [`127.0.0.1:${server.port}`, `127.0.0.1:${dead.port}`]
    const start = performance.now()
    expect(await from({ allowHosts, timeoutMilliseconds: 20_000 }).verdict(client)).toBe('accepted')
    expect(performance.now() - start).toBeLessThan(5_000)
  })

  test('what files tell is not fetched', async () => {
    const { verdict } = from({ urls: [`${server.url}/issuing.crl`, `${server.url}/root.crl`] })
    expect(await verdict(alice)).toBe('accepted')
    expect(await verdict(bob)).toBe('accepted')
    expect(paths()).toEqual(['/issuing.crl', '/root.crl'])
  })

  test('the delta CRL of freshestCRL is fetched, too', async () => {
    const client = await issuing.issue({
      subject: 'CN=dora',
      extensions: [crlAt(`${server.url}/issuing.crl`), freshestAt(`${server.url}/delta.crl`)],
    })
    documents.set('/issuing.crl', (await issuing.crl({ number: 80, thisUpdate: fromNoon(-2 * hour) })).der)
    const revoked = [{ serialNumber: client }]
    documents.set('/delta.crl', (await issuing.crl({ number: 81, baseNumber: 80, revoked })).der)
    const { verdict } = from()
    await server.misbehave('slow')
    expect(await verdict(client)).toBe('REVOKED')
    expect(paths()).toEqual(['/delta.crl', '/issuing.crl', '/root.crl'])
  })

  test('a delta CRL that cannot be had refuses nobody whom the complete one does not, and is asked for again', async () => {
    const extensions = [crlAt(`${server.url}/issuing.crl`), freshestAt(`${server.url}/delta.crl`)]
    const client = await issuing.issue({ subject: 'CN=emil', extensions })
    documents.set('/issuing.crl', (await issuing.crl({ number: 90, thisUpdate: fromNoon(-2 * hour) })).der)
    const { verdict, clock } = from()
    expect(await verdict(client)).toBe('accepted')
    const revoked = [{ serialNumber: client }]
    documents.set('/delta.crl', (await issuing.crl({ number: 91, baseNumber: 90, revoked })).der)
    clock.now += 7 * second
    await until(async () => (await verdict(client)) === 'REVOKED')
  })

  test('R-14: a thousand requests at once are one fetch for each address', async () => {
    const decision = await deciding({ trust: pki.trust, revocation: 'none' }).decide(alice)
    if (decision.outcome !== 'accepted') throw new Error(decision.error.help)
    const { checker } = from({ timeoutMilliseconds: 20_000 })
    const context = { profile: resolveProfile('strict'), pool: { presented: [] } }
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, async () => checker.check(decision.path, noon, context)),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['good']))
    expect(paths()).toEqual(['/issuing.crl', '/root.crl'])
  }, 30_000)

  test('is fetched anew behind the backs of those it still holds for, before it ends', async () => {
    documents.set('/issuing.crl', (await issuing.crl({ nextUpdate: fromNoon(4 * hour) })).der)
    const { decide, verdict, clock, checker } = from()
    const first = validUntil(await decide(alice))
    expect(first).toBeGreaterThanOrEqual(fromNoon(2 * hour).getTime())
    expect(first).toBeLessThanOrEqual(fromNoon(3 * hour).getTime())
    documents.set(
      '/issuing.crl',
      (await issuing.crl({ thisUpdate: fromNoon(hour), revoked: [{ serialNumber: alice }] })).der,
    )
    clock.now = first
    expect(await verdict(alice)).toBe('accepted')
    expect(server.requests.length).toBe(2)
    clock.now = first + 1
    const { generation } = checker
    expect(await verdict(alice)).toBe('accepted')
    await until(() => checker.generation > generation)
    expect(await verdict(alice)).toBe('REVOKED')
    expect(server.requests.length).toBe(3)
  })

  test('one that is down keeps what it gave until that ends; who was admitted is not asked about for each request', async () => {
    documents.set('/issuing.crl', (await issuing.crl({ nextUpdate: fromNoon(4 * hour) })).der)
    const { decide, verdict, clock, help } = from()
    const first = validUntil(await decide(alice))
    await server.misbehave('not-found')
    clock.now = first + 1
    for (let i = 0; i < 50; i++) expect(await verdict(alice)).toBe('accepted')
    await until(() => server.requests.length === 3)
    clock.now = fromNoon(4 * hour).getTime()
    expect(await verdict(alice)).toBe('accepted')
    clock.now += 1
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    expect(await help(alice)).toMatch(
      /ended less than a second ago .*; ".*issuing\.crl" was not fetched: status 404 — make/,
    )
    const { length } = server.requests
    for (let i = 0; i < 50; i++) expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    expect(server.requests.length - length).toBeLessThanOrEqual(1)
    await server.misbehave(undefined)
    documents.set(
      '/issuing.crl',
      (await issuing.crl({ thisUpdate: fromNoon(4 * hour), nextUpdate: fromNoon(9 * hour) })).der,
    )
    clock.now += 75 * second
    expect(await verdict(alice)).toBe('accepted')
  })

  test('R-13: an unknown status is not remembered: the first request after the CRL came is admitted', async () => {
    const good = documents.get('/issuing.crl') as Uint8Array
    documents.delete('/issuing.crl')
    const { verdict, clock } = from()
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    documents.set('/issuing.crl', good)
    clock.now += 7 * second
    expect(await verdict(alice)).toBe('accepted')
  })

  test('a hundred CAs asked for the first time at once: all their clients are admitted, none is turned away by the others’ CRLs', async () => {
    const authorities = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        pki.root.issueAuthority({ subject: `CN=CA ${i}`, extensions: [crlAt(`${server.url}/root.crl`)] }),
      ),
    )
    const clients = await Promise.all(
      authorities.map(async (authority, i) => {
        documents.set(`/${i}.crl`, (await authority.crl()).der)
        return authority.issue({ subject: `CN=client ${i}`, extensions: [crlAt(`${server.url}/${i}.crl`)] })
      }),
    )
    const { verdict } = from({ timeoutMilliseconds: 30_000 })
    const verdicts = await Promise.all(clients.map((client) => verdict(client)))
    expect(verdicts.filter((each) => each !== 'accepted')).toEqual([])
    expect(server.mostOpen).toBeLessThanOrEqual(limits.fetchesPerHost)
  }, 30_000)
})

describe('what is remembered of addresses in certificates', () => {
  test('a thousand of them: beyond that the one asked for longest ago is forgotten, and asked as if for the first time', async () => {
    const settings = resolveCrlOptions({ fromCertificate: true, allowHosts: ['crl.corp'], now: () => noon.getTime() })
    const reports = { loaded: () => {}, failed: () => {} }
    const downloads = closing(new CrlDownloads(settings, new CrlHoldings(), reports))
    const question = (i: number) => {
      const fullName = [{ type: 'uniformResourceIdentifier', value: `http://elsewhere.test/${i}` }]
      return { at: noon.getTime(), certificate: { extensions: { cRLDistributionPoints: [{ fullName }] } } }
    }
    const ask = async (i: number) => {
      const flights = downloads.ask(question(i) as unknown as StatusQuestion, true)
      await Promise.all(flights.map(({ end }) => end))
      return flights.length
    }
    for (let i = 0; i < limits.crlsKept; i++) expect(await ask(i)).toBe(1)
    // All have failed a moment ago, and are not asked again; the first is now the last that was asked for.
    expect(await ask(0)).toBe(0)
    expect(await ask(limits.crlsKept)).toBe(1)
    expect([await ask(0), await ask(2)]).toEqual([0, 0])
    expect(await ask(1)).toBe(1)
  })
})
