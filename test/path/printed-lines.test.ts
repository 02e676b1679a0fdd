import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { rules } from '../../src/index.js'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type TestAuthority,
  type TestPki,
} from '../../src/testing.js'
import {
  children,
  day,
  fromNoon,
  hour,
  minute,
  noon,
  openssl,
  pemOf,
  present,
  second,
  temporaryFolder,
} from '../support/pki.js'

// Keys take long to make where machines are busy.
jest.setTimeout(60_000)

const at = temporaryFolder()
let pki: TestPki
let root: TestAuthority
let issuing: TestAuthority

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  root = await createTestAuthority({ now: noon, subject: 'CN=Corp Root,O=Corp' })
  issuing = await root.issueAuthority({ subject: 'CN=Corp Issuing 2,O=Corp' })
  writeFileSync(at('chain.pem'), root.certificate.pem)
})

type Options = Parameters<typeof present>[1]

/** The line for a chain: one line, bounded, printable, and never a word of it in what the client reads. */
async function lineFor(credential: Parameters<typeof present>[0], options: Options): Promise<string> {
  const { decision, line, lines } = await present(credential, options)
  if (decision.outcome === 'accepted') throw new Error('accepted')
  expect(lines.length).toBe(1)
  expect(line).toMatch(new RegExp(`^mtls-identity ${decision.error.code}: [^\\n]+ — [^\\n]+$`))
  expect(line.length).toBeLessThan(1_600)
  expect(decision.error.message).toBe('client certificate refused')
  return line
}

const alone = ({ certificate }: Pick<Parameters<typeof present>[0], 'certificate'>) => ({ certificate, chain: [] })
const trusting = (authority: TestAuthority, more: Partial<Options> = {}): Options => ({
  trust: authority.certificate.pem,
  ...more,
})

describe('broken set-ups, rows 14 to 26: the line names the fact and the fix, and the fix works', () => {
  test('row 14: the client sends the leaf only', async () => {
    const alice = await issuing.issue()
    expect(await lineFor(alone(alice), trusting(root))).toMatch(
      /issued by "CN=Corp Issuing 2,O=Corp", which neither the client sent nor we have \(its root "CN=Corp Root,O=Corp" is trusted\) — client: cat client\.pem issuing\.pem; or intermediates: '\.\/issuing\.pem'/,
    )
    expect((await present(alice, trusting(root))).decision.outcome).toBe('accepted')
    const intermediates = issuing.certificate.pem
    expect((await present(alone(alice), trusting(root, { intermediates }))).decision.outcome).toBe('accepted')
  })

  test('row 15: trust holds the CA of the server', async () => {
    const clients = await createTestAuthority({ now: noon, subject: 'CN=Acme Clients CA' })
    const alice = await clients.issue()
    expect(await lineFor(alice, { trust: at('chain.pem') })).toMatch(
      /issued by "CN=Acme Clients CA"; trust \(\/\S+chain\.pem\) holds only "CN=Corp Root,O=Corp" — trust: is the CA of your clients, not of your server certificate/,
    )
    expect((await present(alice, trusting(clients))).decision.outcome).toBe('accepted')
  })

  test('row 15: of many anchors three are named, and the others counted', async () => {
    const anchors = await Promise.all(
      [1, 2, 3, 4, 5].map((n) => createTestAuthority({ now: noon, subject: `CN=X${n}` })),
    )
    const line = await lineFor(await pki.root.issue(), { trust: anchors.map(({ certificate }) => certificate.pem) })
    expect(line).toMatch(/holds only "CN=X1", "CN=X2", "CN=X3" and 2 more — /)
  })

  test('row 16: the CA was made anew, with the same name and another key', async () => {
    const before = await createTestAuthority({ now: noon, subject: 'CN=My CA' })
    const after = await createTestAuthority({ now: noon, subject: 'CN=My CA' })
    const alice = await before.issue()
    const line = await lineFor(alice, trusting(after))
    expect(line).toMatch(
      /ERR_CLIENT_CERT_SIGNATURE: "CN=My CA" is trusted but with another key \(client expects key id [0-9a-f]{4}…, trust has [0-9a-f]{4}…\) — the CA was re-created: re-issue the client, or trust both/,
    )
    const both = [before.certificate.pem, after.certificate.pem]
    expect((await present(alice, { trust: both })).decision.outcome).toBe('accepted')
    expect(await lineFor(await before.issue({ omit: ['2.5.29.35'] }), trusting(after))).toMatch(
      /the signature was not made by the key of "CN=My CA" — .*re-issue the client, or trust both/,
    )
  })

  test('row 17: a version 1 certificate', async () => {
    expect(await lineFor(await root.issue({ version: 1 }), trusting(root))).toMatch(
      /this is an X\.509 v1 certificate \(openssl x509 -req without -extfile\) — re-issue with extendedKeyUsage=clientAuth/,
    )
  })

  test('row 17: what the real openssl x509 -req makes, and what it makes with the fix', async () => {
    const ca = await createTestAuthority({ subject: 'CN=Home CA' })
    writeFileSync(at('ca.pem'), ca.certificate.pem)
    writeFileSync(at('ca.key'), ca.key.pem)
    writeFileSync(at('client.csr'), (await pki.csr({ subject: 'CN=alice' })).pem)
    writeFileSync(at('client.ext'), 'extendedKeyUsage=clientAuth\n')
    const sign = (...more: string[]) => {
      const pem = openssl(
        'x509',
        '-req',
        '-in',
        at('client.csr'),
        '-CA',
        at('ca.pem'),
        '-CAkey',
        at('ca.key'),
        '-days',
        '1',
        '-set_serial',
        '7',
        ...more,
      )
      const der = Buffer.from(pem.toString().replace(/-----[^-]+-----|\s/g, ''), 'base64')
      return { certificate: { der, pem: pem.toString() }, chain: [] }
    }
    const options = trusting(ca, { now: () => Date.now() + 5 * second })
    expect(await lineFor(sign(), options)).toMatch(/ERR_CLIENT_CERT_(VERSION|KEY_USAGE): .*extendedKeyUsage/)
    expect((await present(sign('-extfile', at('client.ext')), options)).decision.outcome).toBe('accepted')
  })

  test('row 18: made for servers', async () => {
    expect(await lineFor(await root.issue({ extendedKeyUsage: ['serverAuth'] }), trusting(root))).toMatch(
      /made for servers \(EKU serverAuth\), not clients; public CAs stopped issuing clientAuth in 2026 — use a private CA/,
    )
    expect(
      await lineFor(await root.issue({ extendedKeyUsage: ['serverAuth', '1.3.6.1.5.5.7.3.4'] }), trusting(root)),
    ).toMatch(
      /extendedKeyUsage is serverAuth, emailProtection without clientAuth — re-issue with extendedKeyUsage=clientAuth/,
    )
  })

  test('row 19: no extendedKeyUsage', async () => {
    const alice = await root.issue({ extendedKeyUsage: false })
    expect(await lineFor(alice, trusting(root))).toMatch(
      /no extendedKeyUsage \(nginx and Azure accept this, we do not by default\) — re-issue, or profile: \{ requireExtendedKeyUsage: false \}/,
    )
    const profile = { requireExtendedKeyUsage: false }
    expect((await present(alice, trusting(root, { profile }))).decision.outcome).toBe('accepted')
  })

  test('row 20: a self-signed device certificate of openssl req -x509, which is a CA; the pin admits it', async () => {
    const key = at('device.key')
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      key,
      '-out',
      at('device.pem'),
      '-days',
      '2',
      '-subj',
      '/CN=device',
    )
    const der = openssl('x509', '-in', at('device.pem'), '-outform', 'DER')
    const device = { certificate: { der, pem: pemOf('CERTIFICATE', der) }, chain: [] }
    const now = () => Date.now() + 5 * second
    expect(await lineFor(device, trusting(root, { now }))).toMatch(
      /ERR_CLIENT_CERT_CA_AS_CLIENT: a CA certificate was used as a client .*— issue a client certificate from it, or pin exactly this one: trust: \{ pinned: '\.\/device\.pem' \}/,
    )
    expect((await present(device, { trust: { pinned: at('device.pem') }, now })).decision.outcome).toBe('accepted')
  })

  test('row 20: a self-signed certificate that is no CA', async () => {
    const device = await createSelfSigned({ subject: 'CN=device', notBefore: noon })
    expect(await lineFor(device, trusting(root))).toMatch(
      /"CN=device" signed its own certificate, which is not trusted — issue the client from a CA in trust, or pin exactly this one/,
    )
    expect((await present(device, { trust: { pinned: device.certificate.pem } })).decision.outcome).toBe('accepted')
  })

  test('row 21: expired', async () => {
    const alice = await root.issue({
      notBefore: fromNoon(-30 * day),
      notAfter: fromNoon(-(2 * day + 3 * hour + 5 * minute)),
    })
    expect(await lineFor(alice, trusting(root))).toMatch(
      /ERR_CLIENT_CERT_EXPIRED: "CN=alice" ended 2026-11-18T08:55:00Z, 2 d 3 h ago by this server's clock — renew it/,
    )
  })

  test('row 21: an expired issuer is named, not the client', async () => {
    const old = await root.issueAuthority({
      subject: 'CN=Old Issuing',
      notBefore: fromNoon(-30 * day),
      notAfter: fromNoon(-day),
    })
    expect(await lineFor(await old.issue(), trusting(root))).toMatch(
      /"CN=Old Issuing" ended 2026-11-19T12:00:00Z, 1 d ago/,
    )
  })

  test('row 22: not yet valid', async () => {
    const alice = await root.issue({ notBefore: fromNoon(5 * minute + 10 * second) })
    expect(await lineFor(alice, trusting(root))).toMatch(
      /ERR_CLIENT_CERT_NOT_YET_VALID: begins in 5 min 10 s by this server's clock \(2026-11-20T12:00:00Z\) — check NTP here and back-dating at the CA/,
    )
  })

  test('row 23: RSA 1024, SHA-1', async () => {
    expect(await lineFor(await root.issue({ keyAlgorithm: 'RSA-1024' }), trusting(root))).toMatch(
      /ERR_CLIENT_CERT_WEAK_KEY: RSA 1024 bits, minimum is 2048 \(profile\.minimumRsaBits\) — re-issue/,
    )
    expect(await lineFor(await root.issue({ hash: 'SHA-1' }), trusting(root))).toMatch(
      /"CN=alice" is signed with "ecdsa-with-SHA1": it is not accepted — re-issue it with SHA-256 or better \(profile\.signatureAlgorithms\)/,
    )
  })

  test.each([
    ['as openssl prints it', 'C = DE, O = Acme, CN = alice'],
    ['without spaces', 'C=DE,O=Acme,CN=alice'],
  ])('row 26: a name in reverse, %s', async (_, written) => {
    const alice = await root.issue({ subject: 'CN=alice,O=Acme,C=DE' })
    const line = await lineFor(alice, trusting(root, { rules: rules.subject(written) }))
    expect(line).toContain(
      `subject("${written}") did not hold; the certificate is that name in reverse — RFC 4514 writes "CN=alice,O=Acme,C=DE"`,
    )
    const rule = rules.subject('CN=alice,O=Acme,C=DE')
    expect((await present(alice, trusting(root, { rules: rule }))).decision.outcome).toBe('accepted')
  })

  test('row 26: the forms of Windows are read: S= and E=', async () => {
    const alice = await root.issue({ subject: 'emailAddress=a@acme.test,CN=alice,ST=Bayern,C=DE' })
    const rule = rules.subject('E=a@acme.test, CN=alice, S=Bayern, C=DE')
    expect((await present(alice, trusting(root, { rules: rule }))).decision.outcome).toBe('accepted')
  })
})

describe('hostile names in the line', () => {
  test.each([
    ['a line break', 'CN=x\\0Amtls-identity ERR_FAKE: y'],
    ['an escape sequence', 'CN=\\1B[2Jx'],
    ['bidirectional controls', 'CN=\\E2\\80\\AEecila'],
    ['zero-width characters', 'CN=a\\E2\\80\\8Blice'],
    ['tag characters', 'CN=a\\F3\\A0\\81\\81\\F3\\A0\\81\\82'],
    ['a quotation mark and a backslash', 'CN=a\\"b\\\\c'],
    ['a very long one', `CN=${'x'.repeat(5_000)}`],
    ['a very long one of zero-width characters', `CN=${'\u200b'.repeat(3_000)}`],
  ])('P-15: %s', async (_, subject) => {
    const hostile = await createTestAuthority({ now: noon, subject })
    const client = await hostile.issue({ subject })
    for (const options of [trusting(root), { trust: [root.certificate.pem, root.certificate.pem] }]) {
      const line = await lineFor(client, options)
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    }
    const accepted = await present(client, trusting(hostile, { rules: rules.commonName('bob') }))
    expect(accepted.line).toMatch(/^mtls-identity ERR_CLIENT_CERT_RULE: commonName\("bob"\) did not hold/)
    expect(accepted.line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    expect(accepted.line.length).toBeLessThan(1_600)
  })
})

test('an unreadable intermediate is the reason where the path is missing, and nobody’s business where it is not', async () => {
  const alice = await issuing.issue()
  const broken = { der: Uint8Array.from(issuing.certificate.der).fill(0, 4, 8), pem: '' }
  expect(children(issuing.certificate.der).length).toBe(3)
  const line = await lineFor({ certificate: alice.certificate, chain: [broken] }, trusting(root))
  expect(line).toMatch(/ERR_CLIENT_CERT_MALFORMED: the certificate of intermediate 1 is malformed at octet \d+/)
  const both = { certificate: alice.certificate, chain: [broken, issuing.certificate] }
  expect((await present(both, trusting(root))).decision.outcome).toBe('accepted')
})
