// What others make of the same octets. Each is given its root parsed and its keys imported beforehand, as ours is.
import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import * as peculiar from '@peculiar/x509'
import * as pkijs from 'pkijs'

/** Node's own certificates: names, signatures and dates. Not RFC 5280: no constraints, no usage, no policies. */
export function nodeLoop({ leaf, intermediate, root }) {
  const anchor = new X509Certificate(root)
  const { publicKey } = anchor
  const isCurrent = ({ validFrom, validTo }, at) => Date.parse(validFrom) <= at && at <= Date.parse(validTo)
  return () => {
    const at = Date.now()
    const certificate = new X509Certificate(leaf)
    const issuer = new X509Certificate(intermediate)
    const isValid =
      certificate.checkIssued(issuer) &&
      issuer.checkIssued(anchor) &&
      issuer.ca &&
      issuer.verify(publicKey) &&
      certificate.verify(issuer.publicKey) &&
      isCurrent(certificate, at) &&
      isCurrent(issuer, at)
    if (!isValid) throw new Error('node:crypto: the fixture is not valid')
  }
}

export function pkijsEngine({ leaf, intermediate, root }) {
  const anchor = pkijs.Certificate.fromBER(root)
  return async () => {
    const certificate = pkijs.Certificate.fromBER(leaf)
    const issuer = pkijs.Certificate.fromBER(intermediate)
    const engine = new pkijs.CertificateChainValidationEngine({ trustedCerts: [anchor], certs: [issuer, certificate] })
    const { result, resultMessage } = await engine.verify()
    if (!result) throw new Error(`pkijs: ${resultMessage}`)
  }
}

/** The builder finds a chain and proves nothing; the signatures are verified after it. */
export function peculiarBuilder({ leaf, intermediate, root }) {
  const anchor = new peculiar.X509Certificate(root)
  return async () => {
    const certificate = new peculiar.X509Certificate(leaf)
    const issuer = new peculiar.X509Certificate(intermediate)
    const chain = await new peculiar.X509ChainBuilder({ certificates: [issuer, anchor] }).build(certificate)
    const isValid =
      chain.length === 3 &&
      (await certificate.verify({ publicKey: issuer.publicKey })) &&
      (await issuer.verify({ publicKey: anchor.publicKey }))
    if (!isValid) throw new Error('@peculiar/x509: the fixture is not valid')
  }
}

export const peculiarParse = (leaf) => () => new peculiar.X509Certificate(leaf).subject
export const pkijsParse = (leaf) => () => pkijs.Certificate.fromBER(leaf)

/** A response about a certificate, judged by its issuer's key: the status, and the signature of it. */
export function pkijsOcsp({ response, leaf, issuer }) {
  const [certificate, anchor] = [pkijs.Certificate.fromBER(leaf), pkijs.Certificate.fromBER(issuer)]
  return async () => {
    const { responseBytes } = pkijs.OCSPResponse.fromBER(response)
    const basic = pkijs.BasicOCSPResponse.fromBER(responseBytes.response.valueBlock.valueHexView)
    const isVerified = await basic.verify({ trustedCerts: [anchor] })
    const { isForCertificate, status } = await basic.getCertificateStatus(certificate, anchor)
    if (!isVerified || !isForCertificate || status !== 0) throw new Error('pkijs: the fixture is not good')
  }
}

/** The other libraries find an entry by going through all of them. */
export const peculiarCrl = (der, serialNumber) => () => new peculiar.X509Crl(der).findRevoked(serialNumber)
export const pkijsCrl = (der, certificate) => () =>
  pkijs.CertificateRevocationList.fromBER(der).isCertificateRevoked(certificate)
