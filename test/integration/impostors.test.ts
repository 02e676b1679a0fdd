/** Certificates that are not what they say, over real connections: each refusal has the twin that differs in one thing and is served. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Authenticator, createAuthenticator } from '../../src/index.js'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type TestCredential,
  type TestPki,
} from '../../src/testing.js'
import { type Answer, connectHttp2, get, json } from '../support/clients.js'
import { bare, serveHttp2, serveHttps, serveOwnHttps } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue()
})

const decidedBy = () => createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })

/** One request over HTTP/1.1, then one over HTTP/2. */
async function overBoth(client: TestCredential, auth: Authenticator = decidedBy()): Promise<[Answer, Answer]> {
  const first = await get(await serveHttps(auth, bare(auth)), client)
  const session = await connectHttp2(await serveHttp2(auth, bare(auth)), { client })
  return [first, await session.get()]
}

async function expectOverBoth(client: TestCredential, expected: { status: number; code?: string; cn?: string }) {
  for (const answer of await overBoth(client)) {
    expect({ status: answer.status, ...json(answer) }).toMatchObject(expected)
  }
}

/** Signed by a CA of the same name, and by a key the client made itself. */
const withChain = (client: TestCredential, ...chain: readonly { pem: string }[]): TestCredential => ({
  ...client,
  tls: { ...client.tls, cert: [client.certificate, ...chain].map(({ pem }) => pem).join('') },
})

describe('a client of the trusted CA', () => {
  test('is served under its own name on HTTP/1.1 and HTTP/2', () => expectOverBoth(alice, { status: 200, cn: 'alice' }))
})

describe('a look-alike', () => {
  test('of the root, self-signed under the same name, vouches for nobody', async () => {
    const lookAlike = await createTestAuthority({ subject: pki.root.subjectDer })
    expect(lookAlike.subject).toBe(pki.root.subject)
    const mallory = await lookAlike.issue()
    await expectOverBoth(mallory, { status: 403, code: 'ERR_CLIENT_CERT_SIGNATURE' })
    await expectOverBoth(withChain(mallory, lookAlike.certificate), { status: 403, code: 'ERR_CLIENT_CERT_SIGNATURE' })
  })

  test('of the intermediate, self-signed under the same name, vouches for nobody', async () => {
    const lookAlike = await createTestAuthority({ subject: pki.intermediate.subjectDer })
    const mallory = await lookAlike.issue()
    await expectOverBoth(withChain(mallory, lookAlike.certificate), {
      status: 403,
      code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
    })
  })

  test('of the intermediate, beside the true one, gains nothing by its company', async () => {
    const lookAlike = await createTestAuthority({ subject: pki.intermediate.subjectDer })
    const mallory = await lookAlike.issue()
    for (const chain of [
      [lookAlike.certificate, pki.intermediate.certificate],
      [pki.intermediate.certificate, lookAlike.certificate],
      [pki.intermediate.certificate, pki.root.certificate],
    ]) {
      await expectOverBoth(withChain(mallory, ...chain), { status: 403, code: 'ERR_CLIENT_CERT_SIGNATURE' })
    }
  })

  test('of the intermediate under a look-alike of the root vouches for nobody', async () => {
    const root = await createTestAuthority({ subject: pki.root.subjectDer })
    const intermediate = await root.issueAuthority({ subject: pki.intermediate.subjectDer })
    await expectOverBoth(await intermediate.issue(), { status: 403, code: 'ERR_CLIENT_CERT_SIGNATURE' })
  })

  test('of the intermediate does not poison the memory against the true client, nor the true client in favour of it', async () => {
    const lookAlike = await createTestAuthority({ subject: pki.intermediate.subjectDer })
    const mallory = await lookAlike.issue({ subject: 'CN=alice' })
    const auth = decidedBy()
    const port = await serveHttps(auth, bare(auth))
    for (let round = 0; round < 3; round++) {
      expect((await get(port, withChain(mallory, lookAlike.certificate))).status).toBe(403)
      expect((await get(port, alice)).status).toBe(200)
      expect((await get(port, withChain(mallory, pki.intermediate.certificate))).status).toBe(403)
    }
  })

  test('of the client, self-signed under the same name, is refused', async () => {
    await expectOverBoth(await createSelfSigned({ subject: 'CN=alice' }), {
      status: 403,
      code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
    })
  })

  test('that forges the issuer’s signature is refused', async () => {
    const mallory = await pki.issue({ signWith: alice })
    await expectOverBoth(mallory, { status: 403, code: 'ERR_CLIENT_CERT_SIGNATURE' })
  })
})

test('a client certificate does not issue certificates', async () => {
  const { root, intermediate } = pki
  const alone = await createTestAuthority({ subject: 'CN=alice', key: alice })
  const mallory = await alone.issue({ subject: 'CN=root' })
  const answers = await overBoth(withChain(mallory, alice.certificate, intermediate.certificate, root.certificate))
  for (const answer of answers) {
    expect({ status: answer.status, ...json(answer) }).toEqual({
      status: 403,
      code: 'ERR_CLIENT_CERT_BASIC_CONSTRAINTS',
    })
  }
})

test('the first certificate is who the client is, whatever others it sends along', async () => {
  const bob = await pki.issue({ subject: 'CN=bob' })
  await expectOverBoth(withChain(bob, alice.certificate, pki.intermediate.certificate), { status: 200, cn: 'bob' })
})

test('the server certificate of a trusted CA is no client', async () => {
  await expectOverBoth(await pki.server(), { status: 403, code: 'ERR_CLIENT_CERT_KEY_USAGE' })
})

test('without a certificate the answer is 401 with a challenge', async () => {
  const auth = decidedBy()
  const overHttp1 = await get(await serveHttps(auth, bare(auth)))
  const overHttp2 = await (await connectHttp2(await serveHttp2(auth, bare(auth)))).get()
  for (const answer of [overHttp1, overHttp2]) {
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toBe('ClientCertificate')
    expect(json(answer)).toEqual({ code: 'ERR_CLIENT_CERT_ABSENT' })
  }
})

describe('what OpenSSL or Node think of a client has no say', () => {
  test('S-03: a client that the server’s own ca authorises, and trust does not, is refused', async () => {
    const other = await createTestPki({ name: 'Other' })
    const client = await other.issue()
    const intermediates = pki.intermediate.certificate.pem
    const auth = createAuthenticator({ trust: pki.trust, intermediates, revocation: 'none', log: false })
    const authorized: boolean[] = []
    const listener = bare(auth) as (request: { socket: { authorized: boolean } }, response: unknown) => void
    const port = await serveOwnHttps(
      ((request: { socket: { authorized: boolean } }, response: unknown) => {
        authorized.push(request.socket.authorized)
        listener(request, response)
      }) as never,
      { requestCert: true, rejectUnauthorized: false, ca: other.trust },
    )
    expect(json(await get(port, client))).toEqual({ code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER' })
    expect(json(await get(port, alice))).toMatchObject({ cn: 'alice' })
    expect(authorized).toEqual([true, false])
  })

  test('an https server that an application made itself, ca and all, works with the intermediates configured', async () => {
    const intermediates = pki.intermediate.certificate.pem
    const auth = createAuthenticator({ trust: pki.trust, intermediates, revocation: 'none', log: false })
    for (const rejectUnauthorized of [true, false]) {
      const port = await serveOwnHttps(bare(auth), { requestCert: true, rejectUnauthorized, ca: pki.trust })
      expect(json(await get(port, alice))).toEqual({ cn: 'alice', via: 'tls' })
    }
  })
})
