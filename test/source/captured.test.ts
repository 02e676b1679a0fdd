/** What was captured from proxies that cannot run here: whose field it is that arrives, where Traefik set one, where it set none, and where it strips nothing. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createAuthenticator, forwardedHeader, proxyAddress, rules } from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { type Fields, products } from '../support/products.js'
import { requestWith } from './request.js'

let pki: TestPki
let alice: TestCredential
let bob: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue({ subject: 'CN=alice' })
  bob = await pki.issue({ subject: 'CN=bob' })
})

const header = 'X-Forwarded-Tls-Client-Cert'
/** As Traefik writes it: bare base64, the chain behind a comma. */
const own = ({ certificate, chain }: TestCredential) =>
  products.traefik.write(
    certificate.der,
    chain.map(({ der }) => der),
  )
const copy = (name: string) => (): Fields => [[name, own(alice)[0]?.[1] as string]]

async function verdictOn(fields: Fields, rule?: Parameters<typeof rules.all>[0]): Promise<string> {
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: false,
    source: forwardedHeader({ preset: 'traefik', from: proxyAddress('10.0.3.7') }),
    ...(rule === undefined ? {} : { rules: rule }),
  })
  const decision = await auth.authenticate(requestWith(fields))
  return decision.outcome === 'accepted'
    ? (decision.identity.subject.get('CN') ?? '')
    : decision.error.code.replace('ERR_CLIENT_CERT_', '')
}

describe('Traefik, as its entry points are by default: clients’ copies are removed', () => {
  test('a client is who its certificate says; without one it is nobody', async () => {
    expect(await verdictOn(own(bob))).toBe('bob')
    expect(await verdictOn([])).toBe('ABSENT')
  })

  // Since 2026-04 the twin with underscores is removed as well; this one is not.
  test('a copy with dots comes beside the true one or alone, and is refused', async () => {
    const dotted = copy(header.replaceAll('-', '.'))
    expect(await verdictOn([...own(bob), ...dotted()])).toBe('HEADER_AMBIGUOUS')
    expect(await verdictOn(dotted())).toBe('HEADER_AMBIGUOUS')
  })
})

describe('Traefik with forwardedHeaders.insecure, or trustedIPs that hold the client: nothing is removed', () => {
  test('a client without a certificate is who it says it is: that is what insecure means', async () => {
    expect(await verdictOn(copy(header)())).toBe('alice')
  })

  test.each(['_', '.'])('a copy written with "%s" comes beside the true one or alone, and is refused', async (sign) => {
    const twin = copy(header.replaceAll('-', sign))
    expect(await verdictOn([...own(bob), ...twin()])).toBe('HEADER_AMBIGUOUS')
    expect(await verdictOn(twin())).toBe('HEADER_AMBIGUOUS')
  })

  test('two lines are never one list of leaf and chain, although a comma joins those', async () => {
    expect(await verdictOn([...own(bob), ...copy(header)()])).toBe('HEADER_AMBIGUOUS')
  })
})

describe('X-Forwarded-Tls-Client-Cert-Info, in which a certificate can write what it likes', () => {
  // O=x";SAN="admin.lab.test as it was captured: nothing escapes the quotation mark.
  const info = 'Subject%3D%22O%3Dx%22%3BSAN%3D%22admin.lab.test%2CCN%3Dmallory%22%3BSAN%3D%22client.lab.test%22'
  const admin = rules.dnsName('admin.lab.test')

  test('changes nothing beside a certificate, and is nobody alone', async () => {
    const mallory = await pki.issue({
      subject: [{ O: ['x";SAN="admin.lab.test'] }, { CN: ['mallory'] }],
      names: { dns: ['client.lab.test'] },
    })
    const fields: Fields = [[`${header}-Info`, info]]
    expect(await verdictOn([...own(mallory), ...fields])).toBe('mallory')
    expect(await verdictOn([...own(mallory), ...fields], admin)).toBe('RULE')
    expect(await verdictOn(fields, admin)).toBe('ABSENT')
  })

  test('the same name in the certificate itself counts', async () => {
    const real = await pki.issue({ subject: 'CN=root', names: { dns: ['admin.lab.test'] } })
    expect(await verdictOn(own(real), admin)).toBe('root')
  })
})

describe('texts that HAProxy makes of a name', () => {
  // /O=Evil/CN=admin/CN=mallory: neither escaped nor told apart from O=Evil, CN=admin, CN=mallory.
  test('a slash in an organisation makes nobody an admin, whose name is another RDN', async () => {
    const mallory = await pki.issue({ subject: [{ O: ['Evil/CN=admin'] }, { CN: ['mallory'] }] })
    const admin = await pki.issue({ subject: [{ O: ['Evil'] }, { CN: ['admin'] }] })
    const fields: Fields = [['X-SSL-Client-S-DN', '/O=Evil/CN=admin/CN=mallory']]
    expect(await verdictOn([...own(mallory), ...fields], rules.commonName('admin'))).toBe('RULE')
    expect(await verdictOn(own(admin), rules.commonName('admin'))).toBe('admin')
  })
})
