// Certificates for the benchmarks, made while they run.
import { createHash, createPrivateKey, createPublicKey, sign, verify, X509Certificate } from 'node:crypto'
import { createTestAuthority } from 'mtls-identity/testing'

/** One DER element. */
export function element(tag, ...contents) {
  const body = Buffer.concat(contents.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(body.length)]), body])
}

function lengthOctets(length) {
  if (length < 0x80) return [length]
  const octets = []
  for (let rest = length; rest > 0; rest >>= 8) octets.unshift(rest & 0xff)
  return [0x80 | octets.length, ...octets]
}

export const sequence = (...contents) => element(0x30, ...contents)

/** What a company CA writes beside the defaults: CRL distribution point, OCSP responder and issuer, one policy. */
const pointers = [
  {
    oid: '2.5.29.31',
    value: sequence(sequence(element(0xa0, element(0xa0, element(0x86, 'http://crl.acme.example/clients.crl'))))),
  },
  {
    oid: '1.3.6.1.5.5.7.1.1',
    value: sequence(
      sequence(element(0x06, Buffer.from('2b06010505073001', 'hex')), element(0x86, 'http://ocsp.acme.example')),
      sequence(element(0x06, Buffer.from('2b06010505073002', 'hex')), element(0x86, 'http://acme.example/ca.cer')),
    ),
  },
  { oid: '2.5.29.32', value: sequence(sequence(element(0x06, Buffer.from('2b0601040182370a', 'hex')))) },
]

const client = (n) => ({
  subject: `CN=client-${String(n).padStart(4, '0')},OU=Integration,O=Acme GmbH,C=DE`,
  names: {
    dns: [`client-${n}.acme.example`, 'clients.acme.example'],
    uri: [`spiffe://acme.example/client/${n}`],
    email: ['ops@acme.example'],
  },
  extensions: pointers,
})

/**
 * A root, an intermediate, and as many leaves under it as asked for, which share one key. Not the root's: pkijs 4.0.0 never returns where a
 * leaf and its root have one key identifier.
 */
export async function createChain(keyAlgorithm, leafCount = 1) {
  const root = await createTestAuthority({ subject: 'CN=Acme Root CA,O=Acme GmbH,C=DE', keyAlgorithm })
  const issuer = await root.issueAuthority({
    subject: 'CN=Acme Client CA 1,O=Acme GmbH,C=DE',
    basicConstraints: { ca: true, pathLength: 0 },
    extensions: pointers,
  })
  const first = await issuer.issue(client(0))
  const leaves = [first.certificate.der]
  for (let n = 1; n < leafCount; n++) leaves.push((await issuer.issue({ ...client(n), key: first })).certificate.der)
  return {
    root: root.certificate.der,
    rootPem: root.certificate.pem,
    intermediate: issuer.certificate.der,
    leaf: first.certificate.der,
    leaves,
  }
}

const digests = { 'P-256': 'sha256', 'P-384': 'sha384', 'RSA-2048': 'sha256', 'RSA-4096': 'sha256', Ed25519: null }

/** `node:crypto.verify` of one certificate, with everything made ready beforehand. */
export function verification(certificate, issuer, keyAlgorithm) {
  const { tbs, signature } = split(certificate)
  const key = new X509Certificate(issuer).publicKey
  const digest = digests[keyAlgorithm]
  const operation = () => verify(digest, tbs, key, signature)
  if (!operation()) throw new Error(`${keyAlgorithm}: the fixture's signature is wrong`)
  return operation
}

/** The signed part and the signature, found by lengths. */
function split(certificate) {
  const der = Buffer.from(certificate)
  const tbsStart = bounds(der, 0).start
  const tbsEnd = bounds(der, tbsStart).end
  const signature = bounds(der, bounds(der, tbsEnd).end)
  return { tbs: der.subarray(tbsStart, tbsEnd), signature: der.subarray(signature.start + 1, signature.end) }
}

/** Where the contents of the element at `at` begin and end. */
export function bounds(der, at) {
  const first = der[at + 1]
  const octets = first < 0x80 ? 0 : first & 0x7f
  const start = at + 2 + octets
  return { start, end: start + (octets === 0 ? first : der.readUIntBE(at + 2, octets)) }
}

const identifier = (hex) => element(0x06, Buffer.from(hex, 'hex'))
const time = (at) => element(0x18, `${new Date(at).toISOString().slice(0, 19).replace(/\D/g, '')}Z`)

/**
 * An OCSP response about one certificate (RFC 6960 §4.2.1), signed by `signer` with ECDSA and SHA-256, whose certificate it carries.
 *
 * @param single certId in DER, `thisUpdate` and `nextUpdate` in milliseconds since 1970, `revokedAt` where it is revoked
 */
export function ocspResponse({ certId, thisUpdate, nextUpdate, revokedAt }, signer) {
  const key = createPrivateKey(signer.key.pem)
  const status = revokedAt === undefined ? element(0x80) : element(0xa1, time(revokedAt))
  const single = sequence(certId, status, time(thisUpdate), element(0xa0, time(nextUpdate)))
  const data = sequence(responderId(signer), time(thisUpdate), sequence(single))
  const signature = sign('sha256', data, key)
  const basic = sequence(
    data,
    sequence(identifier('2a8648ce3d040302')),
    element(0x03, Buffer.of(0), signature),
    element(0xa0, sequence(signer.certificate.der)),
  )
  const bytes = sequence(identifier('2b0601050507300101'), element(0x04, basic))
  return { response: sequence(element(0x0a, Buffer.of(0)), element(0xa0, bytes)), data, signature }
}

/** byKey: the SHA-1 of the public key's BIT STRING, without its tag, length and unused bits. */
function responderId({ key }) {
  const spki = createPublicKey(key.pem).export({ type: 'spki', format: 'der' })
  const algorithm = bounds(spki, bounds(spki, 0).start)
  const { start, end } = bounds(spki, algorithm.end)
  return element(
    0xa2,
    element(
      0x04,
      createHash('sha1')
        .update(spki.subarray(start + 1, end))
        .digest(),
    ),
  )
}

/** `size` CAs that each certified all others. */
export async function createMesh(size) {
  const members = []
  for (let n = 0; n < size; n++) members.push(await createTestAuthority({ subject: `CN=Mesh CA ${n},O=Acme GmbH` }))
  const crossCertificates = []
  for (const issuer of members) {
    for (const other of members) if (other !== issuer) crossCertificates.push((await issuer.crossSign(other)).der)
  }
  const root = await createTestAuthority({ subject: 'CN=Mesh Root,O=Acme GmbH' })
  const leaf = (await members[0].issue(client(0))).certificate.der
  /** The root's certificate for one member. */
  const reach = async (member) => (await root.crossSign(members[member])).der
  return { root: root.certificate.der, leaf, crossCertificates, reach }
}

/** A trust anchor and `count` strangers of its name with keys of their own, the last of which issued the leaf. */
export async function createNamesakes(count) {
  const subject = 'CN=Namesake CA,O=Acme GmbH'
  const strangers = []
  for (let n = 0; n <= count; n++) strangers.push(await createTestAuthority({ subject, omit: keyIdentifiers }))
  const [root, ...others] = strangers.map(({ certificate }) => certificate.der)
  return { root, others, leaf: (await strangers[count].issue({ omit: keyIdentifiers })).certificate.der }
}

const keyIdentifiers = ['2.5.29.14', '2.5.29.35']

/** A leaf and a constrained intermediate. Names and subtrees are GeneralNames in DER. */
export async function createConstrained(root, names, subtrees) {
  const constraints = sequence(element(0xa0, ...subtrees.map((base) => sequence(base))))
  const issuer = await root.issueAuthority({
    subject: 'CN=Constrained CA',
    extensions: [{ oid: '2.5.29.30', critical: true, value: constraints }],
  })
  const leaf = await issuer.issue({ extensions: [{ oid: '2.5.29.17', value: sequence(...names) }] })
  return { intermediate: issuer.certificate.der, leaf: leaf.certificate.der }
}

/** Any number of CA certificates with a name and key identifiers of their own. */
export async function createAnchors(count) {
  const placeholder = 'Tenant authority 00000'
  const authority = await createTestAuthority({ subject: `CN=${placeholder},OU=Client certificates,O=Acme GmbH,C=DE` })
  const { tbs } = split(authority.certificate.der)
  const keyIdentifier = tbs.indexOf(Buffer.from('0603551d0e', 'hex')) + 9
  const name = (n) => `Tenant authority ${String(n).padStart(5, '0')}`
  return writtenOver(authority.certificate.der, authority.key.pem, count, [
    { was: placeholder, becomes: name },
    {
      was: tbs.subarray(keyIdentifier, keyIdentifier + 20),
      becomes: (n) => createHash('sha256').update(name(n)).digest().subarray(0, 20),
    },
  ])
}

/** Any number of clients of one intermediate, with names and serial numbers of their own, which share one key. */
export async function createClients(count) {
  const root = await createTestAuthority({ subject: 'CN=Acme Root CA,O=Acme GmbH,C=DE' })
  const issuer = await root.issueAuthority({ subject: 'CN=Acme Client CA 1,O=Acme GmbH,C=DE', extensions: pointers })
  const serialNumber = Buffer.from('5a5a5a5a5a000000', 'hex')
  const first = await issuer.issue({ ...client('00000'), serialNumber: serialNumber.toString('hex') })
  const leaves = writtenOver(first.certificate.der, issuer.key.pem, count, [
    { was: 'client-00000', becomes: (n) => `client-${String(n).padStart(5, '0')}` },
    { was: '/client/00000', becomes: (n) => `/client/${String(n).padStart(5, '0')}` },
    { was: serialNumber, becomes: (n) => Buffer.from(`5a5a5a5a5a${n.toString(16).padStart(6, '0')}`, 'hex') },
  ])
  return { rootPem: root.certificate.pem, intermediate: issuer.certificate, leaves, key: first.key.pem }
}

/**
 * One certificate `count` times, parts of it written over with others of their length, and signed again with its issuer's key. To issue each
 * by itself would take longer than to measure them.
 */
function writtenOver(certificate, issuerKey, count, parts) {
  const key = createPrivateKey(issuerKey)
  const der = Buffer.from(certificate)
  const tbs = Buffer.from(split(der).tbs)
  const algorithmStart = bounds(der, 0).start + tbs.length
  const algorithm = der.subarray(algorithmStart, bounds(der, algorithmStart).end)
  const places = parts.map(({ was, becomes }) => ({ becomes, places: placesOf(tbs, Buffer.from(was)) }))
  const certificates = []
  for (let n = 0; n < count; n++) {
    for (const { becomes, places: all } of places) for (const at of all) Buffer.from(becomes(n)).copy(tbs, at)
    certificates.push(sequence(tbs, algorithm, element(0x03, Buffer.from([0]), sign('sha256', tbs, key))))
  }
  if (!verify('sha256', tbs, createPublicKey(key), split(certificates.at(-1)).signature)) throw new Error('bad fixture')
  return certificates
}

function placesOf(octets, part) {
  const places = []
  for (let at = octets.indexOf(part); at >= 0; at = octets.indexOf(part, at + 1)) places.push(at)
  return places
}

export const toPem = (der) =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der)
    .toString('base64')
    .replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
