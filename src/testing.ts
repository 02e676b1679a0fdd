/**
 * `mtls-identity/testing`: certificates for tests, made while they run. Nothing here is fit for production, and
 * nothing is kept: every call makes new keys.
 *
 * Options are checked: an unknown name or word rejects with a TypeError (`unknown option "x"`). What options say is
 * not: a certificate that no verifier should accept is as easy to make as a good one.
 *
 * @module
 */
import { createHash, X509Certificate } from 'node:crypto'
import * as certificates from './testing/certificate.js'
import { encodeCrl } from './testing/crl.js'
import { refuse } from './testing/options.js'
import type * as types from './testing/types.js'

export type * from './testing/types.js'

/**
 * A complete PKI, from `mtls-identity/testing`, in a few milliseconds.
 *
 * ```ts
 * import https from 'node:https'
 * import { createTestPki } from 'mtls-identity/testing'
 *
 * const pki = await createTestPki()
 * const server = await pki.server()
 * const alice = await pki.issue({ subject: 'CN=alice,O=Acme', names: { email: ['alice@acme.example'] } })
 *
 * const listener = https
 *   .createServer({ ...server.tls, ca: pki.trust, requestCert: true }, (request, response) => {
 *     response.end(request.socket.getPeerCertificate().subject.CN)
 *   })
 *   .listen(0, () => {
 *     const { port } = listener.address()
 *     https.get({ port, ca: pki.trust, ...alice.tls, agent: false }, (response) => {
 *       response.setEncoding('utf8').on('data', console.log) // alice
 *       listener.close()
 *     })
 *   })
 * ```
 *
 * @throws TypeError, as a rejection, if an option or a key algorithm is unknown.
 */
export async function createTestPki(options: types.TestPkiOptions = {}): Promise<types.TestPki> {
  const { keyAlgorithm = 'P-256', name = 'Test', now, ...unknown } = options
  refuse(unknown)
  const root = await createAuthority({ subject: [{ CN: [`${name} Root CA`] }] }, { now, keyAlgorithm })
  const intermediate = await root.issueAuthority({ subject: [{ CN: [`${name} Intermediate CA`] }] })
  const { issue, server, crl } = intermediate
  const csr = (options: types.TestCsrOptions = {}) => certificates.createCsr(options, keyAlgorithm)
  return { root, intermediate, trust: root.certificate.pem, issue, server, crl, csr }
}

/**
 * A self-signed root: a stranger's CA or, with the subject of a CA that is trusted, its look-alike.
 *
 * @throws TypeError, as a rejection, if an option is unknown or malformed.
 */
export const createTestAuthority = (options: types.AuthorityOptions = {}): Promise<types.TestAuthority> =>
  createAuthority(options, { now: undefined, keyAlgorithm: 'P-256' })

/**
 * A client certificate that its own key has signed.
 *
 * @throws TypeError, as a rejection, if an option is unknown or malformed.
 */
export async function createSelfSigned(options: types.IssueOptions = {}): Promise<types.TestCredential> {
  const situation = { now: new Date(), keyAlgorithm: 'P-256' } as const
  return credential(await certificates.buildCertificate(options, certificates.client, situation), [])
}

/** An authority of its own if `issuer` is absent, else one under it; `chain` leads from there to the root. */
async function createAuthority(
  { now: ownNow, ...options }: types.AuthorityOptions,
  inherited: { now: Date | undefined; keyAlgorithm: types.TestKeyAlgorithm },
  issuer?: certificates.Built,
  chain: readonly types.TestCertificate[] = [],
): Promise<types.TestAuthority> {
  const { keyAlgorithm = inherited.keyAlgorithm } = options
  const now = ownNow ?? inherited.now
  const subject = issuer ? `CN=Test CA ${chain.length + 2}` : 'CN=Test CA'
  const role = { ...certificates.authority, subject }
  const situation = { now: now ?? new Date(), keyAlgorithm, issuer }
  const own = await certificates.buildCertificate(options, role, situation)
  const below = issuer ? [own.certificate, ...chain] : []
  let crlNumber = 0n

  const build = (options: types.IssueOptions, role: certificates.Role, at = now) =>
    certificates.buildCertificate(options, role, { now: at ?? new Date(), keyAlgorithm, issuer: own })

  return {
    certificate: own.certificate,
    key: { pem: own.key.pem },
    get subject() {
      return subjectText(own.certificate)
    },
    subjectDer: own.subject,
    serialNumber: own.serialNumber,
    chain,
    issue: async (options = {}) => credential(await build(options, certificates.client), below),
    server: async (options = {}) => credential(await build(options, certificates.server), below),
    issueAuthority: (options = {}) => createAuthority(options, { now, keyAlgorithm }, own, below),
    async crossSign(other, { now, subject = other.subjectDer, key = other, ...options } = {}) {
      return (await build({ ...options, subject, key }, certificates.authority, now)).certificate
    },
    async crl(options = {}) {
      crlNumber = BigInt(options.number ?? crlNumber + 1n)
      return encodeCrl({ ...options, number: crlNumber }, own, now ?? new Date())
    },
  }
}

function credential(
  { certificate, key, serialNumber }: certificates.Built,
  chain: readonly types.TestCertificate[],
): types.TestCredential {
  return {
    certificate,
    key: { pem: key.pem },
    chain,
    serialNumber,
    fingerprint: createHash('sha256').update(certificate.der).digest('hex'),
    tls: { cert: [certificate, ...chain].map(({ pem }) => pem).join(''), key: key.pem },
  }
}

/** Node prints one RDN a line, first to last, and escapes as RFC 4514 does. */
function subjectText({ der }: types.TestCertificate): string {
  const { subject } = new X509Certificate(der) as { subject?: string }
  return (subject ?? '').split('\n').reverse().join(',').replaceAll(' + ', '+')
}
