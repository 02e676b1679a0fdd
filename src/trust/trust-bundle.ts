import { DerError, DerReader, explicit, Tag } from '../der/reader.js'
import { ClientCertConfigError, isClientCertError } from '../errors.js'
import { Certificate } from '../x509/certificate.js'
import { type PemBlock, PemError, PemReader } from '../x509/pem.js'

/** What certificates of a bundle are for, and with it what they must be. */
export type BundleUse = 'anchors' | 'intermediates' | 'pinned' | 'pinnedKeys'

/**
 * Reads a bundle of certificates, PEM or DER: all or nothing, at least one. Every mistake is one {@link ClientCertConfigError} that names
 * the bundle, the block, the reason and the fix.
 *
 * @param where how the operator wrote it: `trust: ./clients-ca.pem`
 */
export function parseBundle(where: string, content: string | Uint8Array, use: BundleUse): Certificate[] {
  const text = typeof content === 'string' ? content : textOf(where, content)
  if (text === undefined) return [readDer(where, content as Uint8Array, use)]
  checkText(where, text)
  const certificates: Certificate[] = []
  const reader = new PemReader(text, { comments: true, apart: true })
  // One after the other and not all decoded first: octets are read ten times as fast while they are near.
  for (let block = nextBlock(where, reader); block !== undefined; block = nextBlock(where, reader)) {
    const place = () => `${where}: block ${certificates.length + 1} of ${countOfBlocks(text)} (line ${block?.line})`
    certificates.push(readBlock(place, block, use).condense())
  }
  if (certificates.length === 0)
    throw new ClientCertConfigError(`${where}: holds no certificate — write the CA of your clients there`)
  return certificates
}

function checkText(where: string, text: string): void {
  if (text.trim() === '') throw new ClientCertConfigError(`${where}: is empty — write the CA of your clients there`)
  if (text.startsWith('\ufeff'))
    throw new ClientCertConfigError(`${where}: begins with a byte order mark — save it as UTF-8 without BOM`)
  if (!/\\n/.test(text)) return
  const fix = "value.replaceAll('\\\\n', '\\n'), or a file"
  throw new ClientCertConfigError(
    `${where}: the text contains backslash-n instead of line breaks (environment variable?) — ${fix}`,
  )
}

function nextBlock(where: string, reader: PemReader): PemBlock | undefined {
  try {
    return reader.next()
  } catch (error) {
    if (!(error instanceof PemError)) throw error
    throw new ClientCertConfigError(`${where}: line ${error.line}: ${error.message} — ${pemFix(error.message)}`)
  }
}

const countOfBlocks = (text: string): number => text.match(/^-----BEGIN /gm)?.length ?? 0

function pemFix(reason: string): string {
  if (reason.includes('PRIVATE KEY')) return `it is ${foreignLabel('PRIVATE KEY')}`
  if (reason.includes('cut off')) return 'the file is incomplete: copy it again, whole'
  if (reason.includes('outside of a block')) return 'remove what is not PEM; openssl x509 -in FILE writes a clean one'
  return 'export it again: openssl x509 -in FILE -out clean.pem'
}

/** The content as text, or undefined where it is DER. */
function textOf(where: string, bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) throw new ClientCertConfigError(`${where}: is empty — write the CA of your clients there`)
  if (bytes[0] === Tag.sequence) return undefined
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new ClientCertConfigError(`${where}: is UTF-16 text — save it as UTF-8`)
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
}

/** @param place where it stands, for messages */
function readBlock(place: () => string, { label, bytes }: PemBlock, use: BundleUse): Certificate {
  const foreign = foreignLabel(label)
  if (foreign !== undefined) throw new ClientCertConfigError(`${place()} is ${foreign}`)
  return readCertificate(place, () => Certificate.parseInPlace(bytes), use)
}

function readDer(where: string, content: Uint8Array, use: BundleUse): Certificate {
  const foreign = foreignDer(content)
  if (foreign !== undefined) throw new ClientCertConfigError(`${where} is ${foreign}`)
  return readCertificate(
    () => where,
    () => Certificate.parse(content),
    use,
  )
}

function readCertificate(place: () => string, parse: () => Certificate, use: BundleUse): Certificate {
  let certificate: Certificate
  try {
    certificate = parse()
  } catch (error) {
    if (!isClientCertError(error)) throw error
    throw new ClientCertConfigError(`${place()}: ${error.help}`, { cause: error })
  }
  if (use === 'anchors' || use === 'intermediates') checkIsCa(place, certificate, use)
  return certificate
}

function checkIsCa(place: () => string, { subject, version, extensions }: Certificate, use: BundleUse): void {
  if (extensions.basicConstraints?.cA === true) return
  const name = JSON.stringify(subject.toString())
  const what =
    version === 3 ? 'not a CA certificate' : `an X.509 v${version} certificate, which cannot say that it is a CA`
  const fix =
    use === 'anchors'
      ? 'trust takes the CA that issues your clients; to admit exactly this certificate: trust: { pinned: … }'
      : 'intermediates takes CA certificates only'
  throw new ClientCertConfigError(`${place()}: ${name} is ${what} — ${fix}`)
}

/** What a PEM label other than CERTIFICATE means, and what to do. */
function foreignLabel(label: string): string | undefined {
  if (label === 'CERTIFICATE') return undefined
  if (label.endsWith('PRIVATE KEY')) {
    return 'a private key — a trust bundle is public: keep the key where it belongs, and take it out of here'
  }
  if (label === 'PKCS7' || label === 'CMS') return pkcs7Fix('PEM')
  if (label === 'X509 CRL') return 'a CRL, not a certificate — it belongs to revocation'
  if (label.endsWith('CERTIFICATE REQUEST')) return 'a certificate request — have the CA sign it, and write the CA here'
  if (label === 'TRUSTED CERTIFICATE' || label === 'X509 CERTIFICATE') {
    return `labelled ${label} — openssl x509 -in FILE -out clean.pem writes a plain certificate`
  }
  return `labelled ${JSON.stringify(label)}, not CERTIFICATE — write CA certificates here`
}

// openssl writes names and attributes between the blocks, which a bundle may not hold: they are left out.
const blocksOnly = "| sed -n '/^-----BEGIN/,/^-----END/p' > clients-ca.pem"
const pkcs7Fix = (form: 'PEM' | 'DER') =>
  `PKCS#7 — openssl pkcs7 -in clients.p7b${form === 'DER' ? ' -inform DER' : ''} -print_certs ${blocksOnly}`
const pkcs12Fix = `PKCS#12 — openssl pkcs12 -in clients.p12 -cacerts -nokeys ${blocksOnly}`

/** What a DER file is, if not a certificate, judged by its first elements; undefined where it may be one. */
function foreignDer(bytes: Uint8Array): string | undefined {
  try {
    const outer = new DerReader(bytes).enter()
    if (outer.peek() === Tag.oid) return pkcs7Fix('DER')
    if (outer.peek() === Tag.sequence) return foreignLabel(labelOfSigned(outer.enter()))
    if (outer.peek() !== Tag.integer) return undefined
    // PFX { version 3, … } of RFC 7292 §4, or a private key of RFC 5958 or RFC 8017.
    return outer.nonNegative() === 3 ? pkcs12Fix : foreignLabel('PRIVATE KEY')
  } catch (error) {
    if (error instanceof DerError) return looksLikeIndefinitePfx(bytes) ? pkcs12Fix : undefined
    throw error
  }
}

/** A CertificateList has a time among its first fields (RFC 5280 §5.1), a CertificationRequest ends in attributes (RFC 2986 §4.1). */
function labelOfSigned(fields: DerReader): string {
  const tags: number[] = []
  for (; tags.length < 4 && fields.peek() !== -1; fields.next()) tags.push(fields.peek())
  if (tags.includes(Tag.utcTime) || tags.includes(Tag.generalizedTime)) return 'X509 CRL'
  return tags[0] === Tag.integer && tags[3] === explicit(0) ? 'CERTIFICATE REQUEST' : 'CERTIFICATE'
}

/** Windows writes PKCS#12 in BER: SEQUENCE of indefinite length, INTEGER 3. */
const looksLikeIndefinitePfx = (bytes: Uint8Array) =>
  bytes[1] === 0x80 && bytes[2] === Tag.integer && bytes[3] === 1 && bytes[4] === 3
