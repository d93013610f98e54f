from django.urls import path

from conversations import views

urlpatterns = [path("<str:token>", views.file, name="file")]
