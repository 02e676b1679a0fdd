// OCSP: the targets of T10. Responses are P-256 and carry the certificate of their signer.
import { createPublicKey, verify } from 'node:crypto'
import { createTestAuthority } from 'mtls-identity/testing'
import { resolveProfile } from '../../dist/esm/path/profile.js'
import { judgeOcspResponse } from '../../dist/esm/revocation/ocsp-answer.js'
import { ocsp } from '../../dist/esm/revocation/ocsp-checker.js'
import { Certificate } from '../../dist/esm/x509/certificate.js'
import { certIdOf, encodeOcspRequest } from '../../dist/esm/x509/ocsp-request.js'
import { readOcspResponse } from '../../dist/esm/x509/ocsp-response.js'
import { ocspResponse } from './fixtures.mjs'
import { pkijsOcsp } from './peers.mjs'

const profile = resolveProfile('strict')
const [minute, day] = [60_000, 86_400_000]
const policy = {
  skew: 5 * minute,
  maxAge: { withNextUpdate: 7 * day, withoutNextUpdate: 5 * minute },
  nonce: 'none',
  delegates: 'nocheck',
  responders: [],
}

/** A good response about `leaf`, signed by `signer`, whose certificate it carries. */
function respond(leaf, issuer, signer) {
  const certId = certIdOf(
    Certificate.parse(leaf.certificate.der),
    Certificate.parse(issuer.certificate.der),
    'sha1',
  ).der
  const now = Date.now()
  const { response, data, signature } = ocspResponse(
    { certId, thisUpdate: now - minute, nextUpdate: now + day },
    signer,
  )
  const key = createPublicKey(signer.key.pem)
  return { response, verification: () => verify('sha256', data, key, signature) }
}

let made
async function fixtures() {
  made ??= await make()
  return made
}

async function make() {
  const issuer = await createTestAuthority({ subject: 'CN=Acme Client CA 1,O=Acme GmbH,C=DE' })
  const leaf = await issuer.issue()
  const signer = await issuer.issue({
    subject: 'CN=Acme OCSP 1,O=Acme GmbH,C=DE',
    extendedKeyUsage: ['ocspSigning'],
    extensions: [{ oid: '1.3.6.1.5.5.7.48.1.5', value: Buffer.of(5, 0) }],
  })
  const [certificate, authority] = [Certificate.parse(leaf.certificate.der), Certificate.parse(issuer.certificate.der)]
  const byIssuer = respond(leaf, issuer, issuer)
  const byDelegate = respond(leaf, issuer, signer)
  const question = { issuer: authority, certId: certIdOf(certificate, authority, 'sha1'), nonce: undefined }
  const judge =
    (response, asked = question) =>
    () => {
      const { usable, answer } = judgeOcspResponse(response, asked, Date.now(), policy, profile)
      if (!usable || answer.status !== 'good') throw new Error('the fixture is not good')
    }
  return { issuer, leaf, certificate, authority, byIssuer, byDelegate, judge, question }
}

async function judging() {
  const { issuer, leaf, byIssuer, byDelegate, judge, question } = await fixtures()
  const { response, verification } = byIssuer
  const strange = () => {
    // An issuer that was just read: nothing is known of its delegates.
    const authority = Certificate.parse(issuer.certificate.der)
    return judge(byDelegate.response, { ...question, issuer: authority })()
  }
  return [
    { name: `parse ${response.length} octets`, ours: () => readOcspResponse(response), floor: verification },
    {
      name: 'parse and judge, signed by the issuer',
      ours: judge(response),
      floor: verification,
      peers: { pkijs: pkijsOcsp({ response, leaf: leaf.certificate.der, issuer: issuer.certificate.der }) },
      atMost: 1.1,
      faster: 30,
    },
    {
      name: '… by a delegate that has signed before',
      ours: judge(byDelegate.response),
      floor: byDelegate.verification,
      atMost: 1.2,
    },
    {
      name: '… by a delegate of an issuer never met: two keys to import',
      ours: strange,
      floor: byDelegate.verification,
    },
  ]
}

async function requests() {
  const { certificate, issuer, authority, byIssuer } = await fixtures()
  const floor = byIssuer.verification
  const build = (hash) => () => encodeOcspRequest(certIdOf(certificate, authority, hash))
  const first = (hash) => {
    const fresh = Array.from({ length: 2_000 }, () => Certificate.parse(issuer.certificate.der))
    let next = 0
    // Each issuer is asked about for the first time; then the list begins again, and a few of a round are not.
    return () => encodeOcspRequest(certIdOf(certificate, fresh[next++ % fresh.length], hash))
  }
  return [
    { name: 'request, SHA-1, issuer known', ours: build('sha1'), floor, atMost: 0.25 },
    { name: 'request, SHA-256, issuer known', ours: build('sha256'), floor, atMost: 0.25 },
    { name: 'request, SHA-1, 2,000 issuers', ours: first('sha1'), floor },
  ]
}

async function remembered() {
  const { certificate, authority, byIssuer } = await fixtures()
  const document = { bytes: byIssuer.response, contentType: undefined, fetchedAt: Date.now(), freshUntil: undefined }
  const fetcher = { fetch: async () => document, close() {} }
  const checker = ocsp({ responder: 'http://ocsp.test/', fetcher })
  const context = { profile, pool: { presented: [] } }
  const ask = () =>
    checker.statusOf({ certificate, issuer: authority, depth: 0, path: undefined, at: Date.now(), context })
  if ((await ask()).status !== 'good') throw new Error('the fixture is not good')
  return [
    {
      name: 'status of a certificate whose answer is remembered',
      ours: ask,
      floor: byIssuer.verification,
      atMost: 0.25,
    },
  ]
}

export const tables = [
  { title: 'OCSP responses; floor: one node:crypto.verify P-256', rows: judging },
  { title: 'OCSP requests; floor: one node:crypto.verify P-256', rows: requests },
  { title: 'OCSP answers that are remembered; floor: one node:crypto.verify P-256', rows: remembered },
]
