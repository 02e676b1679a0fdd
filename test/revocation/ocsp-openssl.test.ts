/** OpenSSL on the other side: its responder answers us, and its client judges what we judge. */
import { execFile, execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { resolveProfile } from '../../src/path/profile.js'
import { judgeOcspResponse, type OcspPolicy } from '../../src/revocation/ocsp-answer.js'
import { type OcspOptions, ocsp } from '../../src/revocation/ocsp-checker.js'
import { createTestPki, type TestAuthority, type TestCredential, type TestPki } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { certIdOf } from '../../src/x509/ocsp-request.js'
import {
  byKey,
  byName,
  delegate,
  noCheck,
  ocspSigning,
  type ResponsePlan,
  respond,
  revoked,
  unknown,
} from '../support/ocsp-forge.js'
import { certIdOfForged } from '../support/ocsp-scene.js'
import { basicConstraints, extKeyUsage, keyUsage, oid, purpose, sequence } from '../support/path-der.js'
import { dice, type Forged, forge, pem, poolKey } from '../support/path-forge.js'
import { present, refusedBy, temporaryFolder } from '../support/pki.js'

const file = temporaryFolder()
const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(file(name), content)
  return file(name)
}

describe('answers of the OpenSSL responder', () => {
  let pki: TestPki
  let signer: TestCredential
  let server: http.Server
  let url: string
  const requests: { method: string; body: Buffer }[] = []
  /** Further arguments of `openssl ocsp`. */
  let options: string[] = []

  /** `openssl ca`'s database: V or R, end, revocation time and reason, serial number. */
  const record = ({ serialNumber }: { serialNumber: string }, revocation = '') =>
    appendFileSync(
      file('index.txt'),
      `${revocation ? 'R' : 'V'}\t491231235959Z\t${revocation}\t${serialNumber}\tunknown\t/CN=${serialNumber}\n`,
    )

  // Its own HTTP server binds to every address and is starved by one idle connection: the octets come through ours.
  function answer(request: Uint8Array): Buffer {
    write('request.der', request)
    const ca = [pki.intermediate, pki.root].map(({ certificate }) => certificate.pem).join('')
    const args = [
      '-index',
      file('index.txt'),
      '-CA',
      write('ca.pem', ca),
      '-rsigner',
      write('signer.pem', signer.certificate.pem),
    ]
    args.push(
      '-rkey',
      write('signer.key', signer.key.pem),
      '-reqin',
      file('request.der'),
      '-respout',
      file('response.der'),
      ...options,
    )
    execFileSync('openssl', ['ocsp', ...args], { stdio: 'pipe' })
    return readFileSync(file('response.der'))
  }

  beforeAll(async () => {
    pki = await createTestPki()
    signer = await pki.issue({
      subject: 'CN=responder',
      extendedKeyUsage: ['ocspSigning'],
      extensions: [{ oid: noCheck.oid, value: noCheck.value }],
    })
    write('index.txt', '')
    server = http.createServer(async (request, response) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of request) chunks.push(chunk)
      const body =
        request.method === 'GET'
          ? Buffer.from(decodeURIComponent((request.url as string).slice(1)), 'base64')
          : Buffer.concat(chunks)
      requests.push({ method: request.method as string, body })
      response.setHeader('content-type', 'application/ocsp-response').end(answer(body))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  })
  afterAll(() => {
    server.close()
  })

  async function statusOf(
    leaf: TestCredential,
    given: Partial<OcspOptions> = {},
    issuer: TestAuthority = pki.intermediate,
  ) {
    const checker = ocsp({ responder: url, ...given })
    const question = {
      certificate: Certificate.parse(leaf.certificate.der),
      issuer: Certificate.parse(issuer.certificate.der),
      depth: 0,
      path: undefined as never,
      at: Date.now(),
      context: { profile: resolveProfile(), pool: { presented: [] } },
    }
    try {
      return await checker.statusOf(question)
    } finally {
      checker.close?.()
    }
  }

  const ways: [string, Partial<OcspOptions>][] = []
  for (const hash of ['sha1', 'sha256'] as const) {
    for (const method of ['post', 'get'] as const) {
      for (const nonce of ['none', 'preferred', 'required'] as const)
        ways.push([`${hash}, ${method}, nonce ${nonce}`, { hash, method, nonce }])
    }
  }

  test.each(ways)('good, revoked and unknown: %s', async (_, given) => {
    options = ['-ndays', '1']
    const [fine, gone, held, stranger] = await Promise.all(Array.from({ length: 4 }, () => pki.issue()))
    record(fine as TestCredential)
    record(gone as TestCredential, '260101120000Z,keyCompromise')
    record(held as TestCredential, '260101120000Z,holdInstruction,1.2.840.10040.2.1')
    expect(await statusOf(fine as TestCredential, given)).toMatchObject({
      status: 'good',
      validUntil: expect.any(Number),
    })
    expect(await statusOf(gone as TestCredential, given)).toEqual({
      status: 'revoked',
      reason: 'keyCompromise',
      since: new Date('2026-01-01T12:00:00Z'),
    })
    expect(await statusOf(held as TestCredential, given)).toMatchObject({
      status: 'revoked',
      reason: 'certificateHold',
    })
    expect(await statusOf(stranger as TestCredential, given)).toMatchObject({
      status: 'unknown',
      reason: expect.stringContaining('does not know this certificate'),
    })
    // Base64 that has to be escaped makes some requests longer than others.
    const { method, body } = requests.at(-1) as (typeof requests)[number]
    const length = url.length + encodeURIComponent(body.toString('base64')).length
    expect(method).toBe(given.method === 'get' && length <= 255 ? 'GET' : 'POST')
  })

  test.each<[string, string[], string]>([
    ['without nextUpdate', [], 'good'],
    ['named by its key', ['-ndays', '1', '-resp_key_id'], 'good'],
    ['without its certificate', ['-ndays', '1', '-resp_no_certs'], 'unknown'],
    ['signed with SHA-512', ['-ndays', '1', '-rmd', 'sha512'], 'good'],
    ['signed with SHA-1', ['-ndays', '1', '-rmd', 'sha1'], 'unknown'],
    ['with a broken signature', ['-ndays', '1', '-badsig'], 'unknown'],
  ])('a responder %s', async (_, given, expected) => {
    options = given
    const leaf = await pki.issue()
    record(leaf)
    expect((await statusOf(leaf)).status).toBe(expected)
  })

  test('a delegate of the root does not answer for the intermediate; its twin of the intermediate did', async () => {
    options = ['-ndays', '1']
    const [leaf, former] = [await pki.issue(), signer]
    record(leaf)
    signer = await pki.root.issue({
      subject: 'CN=responder',
      extendedKeyUsage: ['ocspSigning'],
      extensions: [{ oid: noCheck.oid, value: noCheck.value }],
    })
    try {
      expect((await statusOf(leaf)).status).toBe('unknown')
    } finally {
      signer = former
    }
    expect((await statusOf(leaf)).status).toBe('good')
  })

  test('an authenticator refuses who was revoked, and admits who was not', async () => {
    options = ['-ndays', '1']
    const [alice, mallory] = await Promise.all([
      pki.issue({ subject: 'CN=alice' }),
      pki.issue({ subject: 'CN=mallory' }),
    ])
    record(alice)
    record(mallory, '260101120000Z,keyCompromise')
    const revocation = ocsp({ responder: url, leafOnly: true })
    const situation = { trust: pki.trust, revocation, now: Date.now }
    expect((await present(alice, situation)).decision.outcome).toBe('accepted')
    const error = await refusedBy(mallory, situation)
    expect([error.code, error.status]).toEqual(['ERR_CLIENT_CERT_REVOKED', 403])
    // Without leafOnly the root has to answer for the intermediate, and the responder does not.
    const whole = await refusedBy(alice, { ...situation, revocation: ocsp({ responder: url }) })
    expect([whole.code, whole.status, whole.depth]).toEqual(['ERR_CLIENT_CERT_REVOCATION_UNKNOWN', 503, 1])
  })
})

describe('the OpenSSL client judges as we do', () => {
  const now = Math.floor(Date.now() / 1000) * 1000
  const soon = (seconds: number) => new Date(now + seconds * 1000)
  const valid = { notBefore: soon(-86_400), notAfter: soon(86_400) }
  const ca = forge({ subject: 'CA', key: poolKey(50), ...valid })
  const leaf = forge({ subject: 'alice', issuer: ca, key: poolKey(51), ...valid })
  const certId = certIdOfForged(leaf, ca)
  const signer = delegate(ca, { key: poolKey(52), ...valid })
  const fresh = { thisUpdate: soon(-60), nextUpdate: soon(3600) }
  const by = ({ key, der }: Forged, plan: ResponsePlan = {}): ResponsePlan => ({
    signer: key,
    certificates: [der],
    ...plan,
  })
  const twin = (plan: Parameters<typeof delegate>[1]) => by(delegate(ca, { key: poolKey(52), ...valid, ...plan }))
  const make = (plan: ResponsePlan): Uint8Array =>
    respond(certId, ca, {
      producedAt: soon(-60),
      ...plan,
      singles: (plan.singles ?? [{}]).map((single) => ({ ...fresh, ...single })),
    })

  const policy: OcspPolicy = {
    skew: 300_000,
    maxAge: { withNextUpdate: 7 * 86_400_000, withoutNextUpdate: 300_000 },
    nonce: 'none',
    delegates: 'nocheck',
    responders: [],
  }
  function ours(octets: Uint8Array): string {
    const issuer = Certificate.parse(ca.der)
    const question = { issuer, certId: certIdOf(Certificate.parse(leaf.der), issuer, 'sha1'), nonce: undefined }
    const judged = judgeOcspResponse(octets, question, Date.now(), policy, resolveProfile())
    return judged.usable ? judged.answer.status : judged.flaw
  }

  let count = 0
  let [cert, issuer] = ['', '']
  beforeAll(() => {
    cert = write('leaf.pem', pem(leaf.der))
    issuer = write('issuer.pem', pem(ca.der))
  })
  /** `good`, `revoked`, `unknown`; undefined where it believes nothing. */
  async function theirs(octets: Uint8Array): Promise<string | undefined> {
    const response = write(`${count++}.der`, octets)
    const args = [
      'ocsp',
      '-no_nonce',
      '-issuer',
      issuer,
      '-cert',
      cert,
      '-CAfile',
      issuer,
      '-no-CApath',
      '-no-CAstore',
      '-respin',
      response,
    ]
    const output = await new Promise<string>((resolve) => {
      execFile('openssl', args, { env: { ...process.env, LC_ALL: 'C' } }, (_, stdout, stderr) =>
        resolve(stdout + stderr),
      )
    })
    if (!/^Response verify OK$/m.test(output) || output.includes('Status times invalid')) return undefined
    return /leaf\.pem: (good|revoked|unknown)/.exec(output)?.[1]
  }

  async function compare(
    all: readonly (readonly [string, Uint8Array])[],
  ): Promise<{ ours: string; theirs: string | undefined; name: string }[]> {
    const rows: { ours: string; theirs: string | undefined; name: string }[] = []
    for (let i = 0; i < all.length; i += 4) {
      rows.push(
        ...(await Promise.all(
          all
            .slice(i, i + 4)
            .map(async ([name, octets]) => ({ name, ours: ours(octets), theirs: await theirs(octets) })),
        )),
      )
    }
    return rows
  }
  const isStatus = (verdict: string) => ['good', 'revoked', 'unknown'].includes(verdict)

  test('on responses that are fine', async () => {
    const rows = await compare([
      ['by the issuer', make({})],
      ['by the issuer, named by its name', make({ responderId: byName(ca.subject), certificates: [ca.der] })],
      ['by a delegate', make(by(signer))],
      ['by a delegate, named by its name', make(by(signer, { responderId: byName(signer.subject) }))],
      ['revoked', make(by(signer, { singles: [{ status: revoked(soon(-100), 1) }] }))],
      ['unknown', make(by(signer, { singles: [{ status: unknown }] }))],
    ])
    expect(rows.map((row) => row.ours)).toEqual(['good', 'good', 'good', 'good', 'revoked', 'unknown'])
    expect(rows.map((row) => row.theirs)).toEqual(rows.map((row) => row.ours))
  })

  /** What OpenSSL believes and we do not, with the reason. */
  const stricter: ReadonlyMap<string, string> = new Map([
    ['a delegate without digitalSignature', 'RFC 5280 §4.2.1.3: it signs'],
    ['a delegate without ocsp-nocheck', "delegates: 'nocheck'"],
    ['a delegate that is a CA', 'it could make further delegates'],
    ['an answer without nextUpdate of an hour ago', 'maxAgeSeconds; OpenSSL has -status_age for it'],
    ['an answer of eight days ago that holds for another day', 'maxAgeSeconds'],
    ['a critical extension nobody knows', 'RFC 5280 §4.2 by way of RFC 6960 §4.4'],
    ['signed with SHA-1', 'profile.signatureAlgorithms'],
    ['made in the future', 'producedAt is beyond the skew'],
  ])

  test('on responses that are not, but for what is listed', async () => {
    const bare = forge({
      subject: 'responder',
      issuer: ca,
      key: poolKey(53),
      ...valid,
      extensions: [extKeyUsage([ocspSigning])],
    })
    const stranger = forge({ subject: 'CA', key: poolKey(54), ...valid })
    const rows = await compare([
      ['a client of the CA', make(by(leaf))],
      ['anyExtendedKeyUsage', make(twin({ extensions: [extKeyUsage([purpose.any])] }))],
      ['a delegate without digitalSignature', make(twin({ extensions: [keyUsage(0x20)] }))],
      ['a delegate without ocsp-nocheck', make(by(bare))],
      ['a delegate that is a CA', make(twin({ extensions: [basicConstraints(true), keyUsage(0x86)] }))],
      ['an expired delegate', make(twin({ notAfter: soon(-10) }))],
      ['a delegate that is not valid yet', make(twin({ notBefore: soon(100) }))],
      ['a delegate somebody else signed', make(twin({ signer: poolKey(55) }))],
      ['a delegate of another CA of that name', make(by(delegate(stranger, valid)))],
      ['another CA of that name', make(by(stranger, { responderId: byName(ca.subject) }))],
      ['a delegate that does not come along', make({ signer: signer.key })],
      [
        'responderID of the delegate, signature of the issuer',
        make({ signer: ca.key, certificates: [signer.der], responderId: byKey(signer.key) }),
      ],
      ['an answer that ended', make({ singles: [{ thisUpdate: soon(-9000), nextUpdate: soon(-301) }] })],
      ['an answer of the future', make({ singles: [{ thisUpdate: soon(400), nextUpdate: soon(4000) }] })],
      ['made in the future', make({ producedAt: soon(400) })],
      [
        'an answer without nextUpdate of an hour ago',
        make({ singles: [{ thisUpdate: soon(-3600), nextUpdate: false }] }),
      ],
      [
        'an answer of eight days ago that holds for another day',
        make({ singles: [{ thisUpdate: soon(-8 * 86_400), nextUpdate: soon(86_400) }] }),
      ],
      ['another serial number', make({ singles: [{ certId: certIdOfForged(forge({ issuer: ca, ...valid }), ca) }] })],
      [
        'a critical extension nobody knows',
        make({ extensions: [{ oid: '1.2.3', critical: true, value: Uint8Array.of(5, 0) }] }),
      ],
      ['signed with SHA-1', make({ algorithm: [sequence(oid('1.2.840.10045.4.1')), 'sha1'] })],
    ])
    for (const row of rows) expect([row.name, isStatus(row.ours)]).toEqual([row.name, false])
    const onlyOurs = rows.filter((row) => row.theirs !== undefined).map(({ name }) => name)
    expect(onlyOurs.filter((name) => !stricter.has(name))).toEqual([])
  }, 60_000)

  /** OpenSSL reads the certificates of a response although nobody needs them. They are not signed, and nothing hangs on them. */
  const isUnneeded = (octets: Uint8Array, original: Uint8Array) => {
    const from = Buffer.from(original).indexOf(ca.der)
    return from > 0 && Buffer.compare(octets.subarray(0, from), original.subarray(0, from)) === 0
  }

  test('on 400 that were tampered with: what we believe, it believes', async () => {
    const { below, pick } = dice(20_261_127)
    const originals = [
      make({ certificates: [ca.der] }),
      make(by(signer)),
      make(by(signer, { singles: [{ status: revoked(soon(-100), 6) }] })),
      make({ singles: [{}, { certId: certIdOfForged(forge({ issuer: ca, ...valid }), ca) }] }),
    ]
    const mutants = Array.from({ length: 400 }, (_, i): [string, Uint8Array] => {
      const original = originals[i % originals.length] as Uint8Array
      const octets = Uint8Array.from(original)
      const [from, length] = [below(octets.length), pick([1, 1, 1, 2, 8])]
      for (let at = from; at < Math.min(octets.length, from + length); at++) {
        octets[at] = length === 1 ? (octets[at] as number) ^ (1 << below(8)) : below(256)
      }
      return [`${i % originals.length} @${from}+${length}`, octets]
    })
    const rows = await compare(mutants)
    expect(rows).toHaveLength(400)
    const disagreed = rows.filter((row, i) => {
      if (!isStatus(row.ours) || row.ours === row.theirs) return false
      return !isUnneeded((mutants[i] as [string, Uint8Array])[1], originals[i % originals.length] as Uint8Array)
    })
    expect(disagreed).toEqual([])
    // The comparison is one: most are refused by both, and a revoked one was never made good.
    expect(rows.filter((row) => !isStatus(row.ours)).length).toBeGreaterThan(250)
    expect(rows.filter((row, i) => i % originals.length === 2 && row.ours === 'good')).toEqual([])
  }, 120_000)
})
