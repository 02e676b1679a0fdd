/** The package as JavaScript, for processes that no test runner compiles for. */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { transformSync } from '@swc/core'

const root = join(import.meta.dirname, '../..')

/** Compiles src, without testing, and these files of the repository into a folder that is made for it. */
export function compileInto(target: string, ...others: readonly string[]): void {
  const files = readdirSync(join(root, 'src'), { recursive: true }).map((name) => join('src', String(name)))
  for (const name of [...files, ...others]) {
    if (!name.endsWith('.ts') || name.startsWith('src/testing')) continue
    const { code } = transformSync(readFileSync(join(root, name), 'utf8'), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
      swcrc: false,
    })
    mkdirSync(join(target, name, '..'), { recursive: true })
    writeFileSync(join(target, name.replace(/ts$/, 'js')), code)
  }
  writeFileSync(join(target, 'package.json'), '{"type":"module"}')
  symlinkSync(join(root, 'node_modules'), join(target, 'node_modules'))
}
