/** What an authenticator makes of OCSP: on the next request, not on the next connection. */
import { describe, expect, test } from '@jest/globals'
import { createAuthenticator } from '../../src/core/authenticator.js'
import type { Decision } from '../../src/core/decision.js'
import { type DocumentRequest, FetchError } from '../../src/revocation/document-fetcher.js'
import type { OcspOptions } from '../../src/revocation/ocsp-checker.js'
import { respond, revoked } from '../support/ocsp-forge.js'
import { ca, certIdOfForged, responderUrl, scene } from '../support/ocsp-scene.js'
import { oid, primitive, sequence } from '../support/path-der.js'
import { type Forged, forge, fromNoon, noon, pem, poolKey } from '../support/path-forge.js'

const [second, minute, hour] = [1000, 60_000, 3_600_000]
const at = noon.getTime()
const issuing = forge({ subject: 'Issuing', issuer: ca, ca: true, key: poolKey(61) })
const client = forge({ subject: 'client', issuer: issuing, key: poolKey(62) })

/** Answers for both, good unless one is named as revoked. */
function world(options: Partial<OcspOptions> = {}, leaf: Forged = client) {
  const it = scene(options)
  const revokedOnes = new Set<Forged>()
  it.reply = ({ body }) => {
    const pairs = [
      [leaf, issuing],
      [issuing, ca],
    ] as const
    const [about, issuer] =
      pairs.find(([one, by]) => Buffer.from(body as Uint8Array).indexOf(certIdOfForged(one, by)) > 0) ?? pairs[0]
    const dates = { thisUpdate: new Date(it.time), nextUpdate: new Date(it.time + hour) }
    const status = revokedOnes.has(about) ? { status: revoked(new Date(it.time), 1) } : {}
    return respond(certIdOfForged(about, issuer), issuer, {
      producedAt: dates.thisUpdate,
      singles: [{ ...dates, ...status }],
    })
  }
  const auth = createAuthenticator({ trust: pem(ca.der), revocation: it.checker, log: false, now: () => it.time })
  const decide = (chain: readonly Forged[] = [leaf, issuing]): Promise<Decision> =>
    auth.authenticateChain({
      certificate: (chain[0] as Forged).der,
      intermediates: chain.slice(1).map(({ der }) => der),
      via: 'tls',
    })
  return { ...it, it, auth, decide, revokedOnes }
}
const codeOf = (decision: Decision) =>
  decision.outcome === 'accepted' ? 'accepted' : `${decision.error.code} @${decision.error.depth}`

describe('decisions', () => {
  test('a client is admitted while every certificate of its path but the anchor is good', async () => {
    const { it, decide } = world()
    const decision = await decide()
    expect(codeOf(decision)).toBe('accepted')
    expect(it.requests).toHaveLength(2)
    expect(decision.outcome === 'accepted' && decision.validUntil.getTime()).toBeLessThanOrEqual(at + hour)
    await decide()
    expect(it.requests).toHaveLength(2)
  })

  test.each([
    ['the client', client, 0],
    ['its CA', issuing, 1],
  ] as const)('%s is revoked: refused at the request after the answer came', async (_, about, depth) => {
    const { it, decide, revokedOnes } = world()
    expect(codeOf(await decide())).toBe('accepted')
    revokedOnes.add(about)
    it.time = at + 0.95 * hour
    const answers = it.reply as (request: DocumentRequest) => Uint8Array
    let arrive = () => {}
    const arrival = new Promise<void>((resolve) => {
      arrive = resolve
    })
    it.reply = async (request) => {
      await arrival
      return answers(request)
    }
    // This one is decided by the answer that still holds; a newer one is on its way.
    expect(codeOf(await decide())).toBe('accepted')
    arrive()
    await new Promise((resolve) => setImmediate(resolve))
    const refused = await decide()
    expect(codeOf(refused)).toBe(`ERR_CLIENT_CERT_REVOKED @${depth}`)
    it.time += 20 * minute
    expect(codeOf(await decide())).toBe(`ERR_CLIENT_CERT_REVOKED @${depth}`)
  })

  test('with leafOnly the CA is not asked about', async () => {
    const { it, decide, revokedOnes } = world({ leafOnly: true })
    revokedOnes.add(issuing)
    expect(codeOf(await decide())).toBe('accepted')
    expect(it.requests).toHaveLength(1)
  })

  test('nobody answers: 503, and the operator reads who and why; it heals by itself', async () => {
    const { it, decide } = world()
    const answers = it.reply
    it.reply = new FetchError('connect', responderUrl, 'connection refused')
    const refused = await decide()
    expect(codeOf(refused)).toBe('ERR_CLIENT_CERT_REVOCATION_UNKNOWN @0')
    expect(refused.outcome === 'refused' && [refused.error.status, refused.error.help]).toEqual([
      503,
      'no revocation status for "CN=client": OCSP: "http://ocsp.test/" was not fetched: connection refused — make the CRL or responder reachable and fresh',
    ])
    it.reply = answers
    it.time += 5 * second
    expect(codeOf(await decide())).toBe('accepted')
  })

  test('good and unreachable: admitted until the answer ends, not a millisecond longer than the skew', async () => {
    const { it, decide } = world()
    expect(codeOf(await decide())).toBe('accepted')
    it.reply = new FetchError('timeout', responderUrl, 'it did not answer')
    it.time = at + hour + 5 * minute
    const last = await decide()
    expect(last.outcome === 'accepted' && last.validUntil).toEqual(fromNoon(3600 + 300))
    it.time++
    expect(codeOf(await decide())).toBe('ERR_CLIENT_CERT_REVOCATION_UNKNOWN @0')
  })
})

describe('nobody is asked before there is a path', () => {
  const aia = {
    oid: '1.3.6.1.5.5.7.1.1',
    critical: false,
    value: sequence(sequence(oid('1.3.6.1.5.5.7.48.1'), primitive(6, Buffer.from('http://169.254.169.254/')))),
  }
  test.each<[string, Forged[]]>([
    ['a stranger who signed its own certificate', [forge({ subject: 'stranger', ca: false, extensions: [aia] })]],
    [
      'a stranger under a CA of its own',
      [forge({ subject: 'stranger', issuer: forge({ subject: 'Issuing', ca: true }), extensions: [aia] })],
    ],
    ['a forgery', [forge({ subject: 'client', issuer: issuing, signer: poolKey(63), extensions: [aia] }), issuing]],
    [
      'an expired client',
      [forge({ subject: 'client', issuer: issuing, notAfter: fromNoon(-1), extensions: [aia] }), issuing],
    ],
  ])('%s', async (_, chain) => {
    const { it, decide } = world({ fromCertificate: true })
    const decision = await decide(chain)
    expect(decision.outcome).toBe('refused')
    expect(it.requests).toEqual([])
  })

  test('its twin with a path is asked about where it says, by a fetcher that was told whose word that is', async () => {
    const named = forge({ subject: 'client', issuer: issuing, extensions: [aia] })
    const { it, decide } = world({ fromCertificate: true, leafOnly: true }, named)
    expect(codeOf(await decide())).toBe('accepted')
    expect(it.requests.map(({ url, configured }) => [url, configured])).toEqual([['http://169.254.169.254/', false]])
  })
})
