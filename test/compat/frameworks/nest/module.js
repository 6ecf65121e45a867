/** What a compiler makes of Nest's decorators, written out: no build is needed. */
import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

class AppController {
  index() {
    return 'served';
  }

  block() {
    blockForever();
  }
}

function handle(path, name) {
  Get(path)(AppController.prototype, name, Object.getOwnPropertyDescriptor(AppController.prototype, name));
}

Controller()(AppController);
handle('/', 'index');
handle('/block', 'block');

export class AppModule {}
Module({ controllers: [AppController] })(AppModule);
