import { limits } from '../limits.js'
import { DecodingError, describeOther, type HeaderDecoder, pemCertificates } from './decoding.js'
import { type Escapes, unescapePem } from './percent.js'

const opening = '-----BEGIN%20CERTIFICATE-----%0A'

/** What a product leaves as it is, of the characters that are not unreserved (RFC 3986 §2.3). */
type Literal = '' | '+/' | '+/='

/**
 * Percent-encoded PEM. Products differ in what they leave unescaped; `literal` names it, in each of the forms the product is known to write.
 * Decoding is the inverse of exactly that. Form decoding, which turns `+` into a space, would corrupt base64.
 */
function percentEncodedPem(variable: string, literal: readonly Literal[], maximum: number): HeaderDecoder {
  return {
    certificate(value) {
      // PEM in any of these forms begins so; the beginning decides before anything is decoded.
      if (!value.startsWith(opening)) {
        throw new DecodingError(`wants ${variable}, percent-encoded PEM${describeOther(value)}`)
      }
      const read = unescapePem(value)
      if (read === undefined || !literal.some((form) => isWrittenAs(form, read.escapes))) {
        throw new DecodingError(
          `wants ${variable}, percent-encoded PEM, and is escaped in another way${describeOther(value)}`,
        )
      }
      return pemCertificates(read.text, maximum)
    },
  }
}

function isWrittenAs(form: Literal, { slash, equals }: Escapes): boolean {
  const isAs = (how: Escapes['slash'], expected: 'escaped' | 'literal') => how === undefined || how === expected
  return isAs(slash, form === '' ? 'escaped' : 'literal') && isAs(equals, form === '+/=' ? 'literal' : 'escaped')
}

/** nginx's `$ssl_client_escaped_cert`: one certificate. Captured. */
export const escapedPem = percentEncodedPem('$ssl_client_escaped_cert', [''], 1)

/**
 * X-Amzn-Mtls-Clientcert of AWS: everything the client sent, the end entity first. Its documentation says that `+`, `=` and `/` are left as
 * they are, and its example shows `%3D`: both are read, a mixture is not.
 */
export const awsPemChain = percentEncodedPem('the PEM of AWS', ['+/=', '+/'], limits.presentedCertificates)

/** X-Amzn-Mtls-Clientcert-Leaf: the same, one certificate. */
export const awsPem = percentEncodedPem('the PEM of AWS', ['+/=', '+/'], 1)

/** CloudFront-Viewer-Cert-Pem: one certificate. Which characters stay is not documented; each of the three ways is read, a mixture is not. */
export const cloudfrontPem = percentEncodedPem('the PEM of CloudFront', ['', '+/=', '+/'], 1)
