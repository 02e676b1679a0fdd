/** RFC 8705 §2.2, self_signed_tls_client_auth, with the real oidc-provider: a client is its certificate, registered there and pinned in `trust` here. */
import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import type { ClientMetadata } from 'oidc-provider'
import { createAuthenticator } from '../../src/index.js'
import { oidcMtls } from '../../src/oauth.js'
import { createSelfSigned, createTestPki, type TestCredential } from '../../src/testing.js'
import { confirmationOf, type Issuer, registered, startIssuer } from '../support/oidc.js'

let issuer: Issuer
let device: TestCredential
let renewed: TestCredential
let other: TestCredential
let unpinned: TestCredential
let expired: TestCredential
let employee: TestCredential

const client = (id: string, { certificate }: TestCredential): ClientMetadata => {
  const key = new X509Certificate(certificate.der).publicKey.export({ format: 'jwk' })
  const x5c = [Buffer.from(certificate.der).toString('base64')]
  return registered(id, 'self_signed_tls_client_auth', { jwks: { keys: [{ ...key, x5c } as never] } })
}

beforeAll(async () => {
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const day = 86_400_000
  const subject = 'CN=device'
  const pki = await createTestPki({ name: 'Lab' })
  device = await createSelfSigned({ subject })
  renewed = await createSelfSigned({ subject, key: device })
  other = await createSelfSigned({ subject })
  unpinned = await createSelfSigned({ subject })
  expired = await createSelfSigned({
    subject,
    notBefore: new Date(Date.now() - 2 * day),
    notAfter: new Date(Date.now() - day),
  })
  employee = await pki.issue({ subject })
  const authenticator = createAuthenticator({
    trust: {
      staff: pki.trust,
      pinned: [device, other, expired].map(({ certificate }) => certificate.pem),
    },
    revocation: 'none',
    log: false,
  })
  issuer = await startIssuer(
    authenticator,
    'self_signed_tls_client_auth',
    [client('device', device), client('unpinned', unpinned), client('expired', expired), client('employee', employee)],
    oidcMtls(),
  )
})

afterAll(async () => {
  await issuer.close()
  jest.restoreAllMocks()
})

test('the client that was registered with this certificate gets a token, bound to it', async () => {
  const { status, body } = await issuer.tokenFor('device', device)
  expect([status, body.token_type]).toEqual([200, 'Bearer'])
  expect(confirmationOf(body.access_token)).toEqual({
    'x5t#S256': Buffer.from(device.fingerprint, 'hex').toString('base64url'),
  })
})

test('so does one that is registered with a certificate of a trusted CA: what counts is the certificate', async () => {
  expect((await issuer.tokenFor('employee', employee)).status).toBe(200)
})

test.each<[string, () => TestCredential | undefined]>([
  ['no certificate', () => undefined],
  ['another certificate that is pinned', () => other],
  ['a certificate of a trusted CA with the same subject', () => employee],
])('the provider refuses a client with %s', async (_, credential) => {
  const { status, body } = await issuer.tokenFor('device', credential())
  expect([status, body.error]).toEqual([401, 'invalid_client'])
})

test.each<[string, string, () => TestCredential]>([
  ['renewed with the same key, and pinned by its whole DER before that', 'device', () => renewed],
  ['registered there, and not pinned here', 'unpinned', () => unpinned],
  ['registered and pinned, and expired', 'expired', () => expired],
])('the provider never sees a self-signed certificate that is %s', async (_, id, credential) => {
  const { status, body } = await issuer.tokenFor(id, credential())
  expect([status, body.error, body.access_token]).toEqual([403, undefined, undefined])
})
