import { hash } from 'node:crypto'
import type { RememberedPath } from '../path/remembered-path.js'
import type { Certificate } from '../x509/certificate.js'
import type { Extension } from '../x509/extension-list.js'
import type { DistinguishedName } from '../x509/name.js'
import { describeKey, type IdentityNames, namesOf, type PublicKeyDescription, serialNumberText } from './fields.js'

/**
 * What an identity tells of its certificate. Each field is read when somebody asks for it, and kept from then on: of most certificates that are
 * remembered an application looks at a name or two, and at those with every request.
 */
export class EndEntity {
  readonly #path: RememberedPath
  #subject: DistinguishedName | undefined
  #issuer: DistinguishedName | undefined
  #serialNumber: string | undefined
  #notBefore: number | undefined
  #notAfter: number | undefined
  #publicKey: PublicKeyDescription | undefined
  #publicKeyPin: string | undefined
  #names: IdentityNames | undefined
  /** `null`: it has none. */
  #extendedKeyUsage: readonly string[] | null | undefined
  #extensions: readonly Extension[] | undefined

  constructor(path: RememberedPath) {
    this.#path = path
  }

  get subject(): DistinguishedName {
    this.#subject ??= this.#certificate.subject.freeze()
    return this.#subject
  }

  get issuer(): DistinguishedName {
    this.#issuer ??= this.#certificate.issuer.freeze()
    return this.#issuer
  }

  get serialNumber(): string {
    this.#serialNumber ??= serialNumberText(this.#certificate.serialNumber)
    return this.#serialNumber
  }

  /** Milliseconds since 1970. */
  get notBefore(): number {
    this.#notBefore ??= this.#certificate.notBefore
    return this.#notBefore
  }

  get notAfter(): number {
    this.#notAfter ??= this.#certificate.notAfter
    return this.#notAfter
  }

  get publicKey(): PublicKeyDescription {
    this.#publicKey ??= Object.freeze(describeKey(this.#certificate.publicKey.facts))
    return this.#publicKey
  }

  get publicKeyPin(): string {
    this.#publicKeyPin ??= hash('sha256', this.#certificate.publicKey.der, 'base64')
    return this.#publicKeyPin
  }

  get names(): IdentityNames {
    this.#names ??= namesOf(this.#certificate.extensions.subjectAltName ?? [])
    return this.#names
  }

  get extendedKeyUsage(): readonly string[] | undefined {
    if (this.#extendedKeyUsage === undefined) {
      const usages = this.#certificate.extensions.extKeyUsage
      this.#extendedKeyUsage = usages === undefined ? null : Object.freeze([...usages])
    }
    return this.#extendedKeyUsage ?? undefined
  }

  /** Every extension in order, known or not. */
  get extensions(): readonly Extension[] {
    this.#extensions ??= this.#certificate.extensionList
    return this.#extensions
  }

  get #certificate(): Certificate {
    return this.#path.endEntity
  }
}
