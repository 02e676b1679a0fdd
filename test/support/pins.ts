import { hash, X509Certificate } from 'node:crypto'
import type { TestCredential } from '../../src/testing.js'

/** SHA-256 of a certificate's public key, base64, by Node: not by what is tested. */
export function pinOf({ certificate }: TestCredential): string {
  const key = new X509Certificate(certificate.pem).publicKey.export({ type: 'spki', format: 'der' })
  return hash('sha256', key, 'base64')
}
